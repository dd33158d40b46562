"""SettingForm: a setting as a form, with its JSON."""

from __future__ import annotations

from dicomkit.widgets.form._form import SettingForm

__all__ = ["SettingForm"]
