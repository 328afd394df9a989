# Secrets. No value is in the state or in a plan: ours are made while they are written, and the
# operator adds the others (docs/operations.md).
#
# There is no secret for AUDIT_KEYS_BEFORE: only `python -m ops verify-audit` needs older keys, and
# reads them as older versions of `audit-key`, which are kept.
locals {
  own_secrets = {
    page-token-key = { variable = "PAGE_TOKEN_KEY", version = var.key_versions.page_token }
    audit-key      = { variable = "AUDIT_KEY", version = var.key_versions.audit }
  }

  # `use` as in the catalogue.
  given_secrets = {
    openai-api-key = { variable = "OPENAI_API_KEY", use = "model" }
    smtp-password  = { variable = "SMTP_PASSWORD", use = "mail" }
  }

  # Each function's: every one authenticates page tokens and audit events.
  function_secrets = {
    for name, function in local.catalog : name => merge(
      {
        for id, secret in local.own_secrets : secret.variable => {
          secret  = id
          version = google_secret_manager_secret_version.own[id].version # so that all change at once
        }
      },
      {
        for id, secret in local.given_secrets : secret.variable => { secret = id, version = "latest" }
        if contains(try(function.uses, []), secret.use) && contains(var.secrets, id)
      },
    )
  }
}

resource "google_secret_manager_secret" "this" {
  for_each = setunion(keys(local.own_secrets), keys(local.given_secrets))

  secret_id           = each.key
  deletion_protection = var.is_protected
  deletion_policy     = var.is_protected ? "PREVENT" : "DELETE"
  version_destroy_ttl = "${30 * 86400}s" # what was destroyed by mistake can be restored for a month

  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = local.keys["secrets"]
        }
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

ephemeral "random_bytes" "own" {
  for_each = local.own_secrets
  length   = 32
}

resource "google_secret_manager_secret_version" "own" {
  for_each = local.own_secrets

  secret                 = google_secret_manager_secret.this[each.key].id
  secret_data_wo         = ephemeral.random_bytes.own[each.key].base64
  secret_data_wo_version = each.value.version

  # An older audit key still vouches for older events.
  deletion_policy = "ABANDON"

  lifecycle {
    create_before_destroy = true
  }
}
