# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sphinx settings of the HTML reference; `make docs` builds it from what antsibull-docs writes."""

from __future__ import annotations

project = "fleetops.agents"
copyright = "The fleetops.agents contributors"
title = html_short_title = "fleetops.agents"

extensions = ["sphinx_antsibull_ext"]
pygments_style = "ansible"
highlight_language = "YAML+Jinja"

html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_use_index = False
html_copy_source = False

# Every reference must lead somewhere. Those into Ansible's own documentation stay plain text: their inventory would
# have to come from the network. That modules of other collections exist is for antsibull-docs lint-collection-docs.
default_role = "any"
nitpicky = True
nitpick_ignore_regex = [
    ("std:ref", r"ansible_collections\.(?!fleetops\.agents\.).*"),
    ("std:ref", r"(action|callback|inventory|lookup|test|filter)_plugins|common_return_values"),
    ("std:ref", r"ansible_configuration_settings"),
    ("std:envvar", r"ANSIBLE_.*"),
]
