"""The page on which people change their own password: the desk's role may write that column of theirs and no other."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse


class OwnPasswordForm(AdminPasswordChangeForm):
    """Django's form, which would write the whole row."""

    user: User

    def save(self, commit: bool = True) -> User:
        """Set the password and nothing else."""
        self.user.set_password(self.cleaned_data["new_password1"])
        if commit:
            self.user.save(update_fields=["password"])
        return self.user


def own_password(request: HttpRequest) -> HttpResponseBase:
    """Django's page in the desk's frame."""
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        template_name="registration/password_change_form.html",
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return view(request)
