# Accounts and sign-in. Apps use Firebase's SDKs for listeners and push, so the project is Firebase's too.
resource "google_firebase_project" "this" {
  provider = google-beta
  project  = var.project_id

  depends_on = [google_project_service.enabled]
}

# The provider knows neither a password policy nor protection against e-mail enumeration, as of 7.45:
# docs/operations.md has the call that sets them. Our API answers alike whether an account exists or
# not, but the key in every app reaches Identity Platform's own. There is no sign-up quota here, for
# it can only be a temporary one: nobody can sign up but through our API, where Cloud Armor and the
# function limit it.
resource "google_identity_platform_config" "this" {
  sign_in {
    allow_duplicate_emails = false
    anonymous {
      enabled = false
    }
    email {
      enabled           = true
      password_required = true # no sign-in by a link alone: a mailbox is not a second factor
    }
    phone_number {
      enabled = false
    }
  }

  # With an authenticator app; not by SMS, which can be intercepted and costs.
  mfa {
    state = "ENABLED"
    provider_configs {
      state = "ENABLED"
      totp_provider_config {
        adjacent_intervals = 1
      }
    }
  }

  # Accounts begin and end in the API, which makes and archives the record with them: the key that
  # is in every app must not be able to.
  client {
    permissions {
      disabled_user_signup   = true
      disabled_user_deletion = true
    }
  }

  multi_tenant {
    allow_tenants = false
  }

  # The first serves the page that a password reset's mail links to.
  authorized_domains = concat(["${var.project_id}.firebaseapp.com"], var.sign_in_domains)

  depends_on = [google_firebase_project.this]
}

# For the `users` function. A key names a project and permits nothing by itself, yet it need not open other APIs.
resource "google_apikeys_key" "identity" {
  name         = "identity"
  display_name = "Sign-in by the function users"

  restrictions {
    api_targets {
      service = "identitytoolkit.googleapis.com"
    }
    api_targets {
      service = "securetoken.googleapis.com"
    }
  }

  depends_on = [google_project_service.enabled]
}
