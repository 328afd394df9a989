# How a workflow becomes one of the accounts: GitHub signs a token for each job, and Google takes it if the
# condition holds. A pool for each account: whoever is let into it may become it. There is no key to lose.
locals {
  # Of a release in production, of main elsewhere.
  released = var.environment == "prod" ? "assertion.ref.startsWith('refs/tags/v')" : "assertion.ref == 'refs/heads/main'"

  conditions = var.repository_id == "" ? {} : {
    # Staging's plan is also shown on pull requests; what one can do there is read its configuration.
    # GitHub gives no token to those of forks.
    plan = var.environment == "prod" ? local.released : "(${local.released} || assertion.event_name == 'pull_request')"

    # The environment is GitHub's: with its approval in production, and with the branches or tags that it takes.
    apply = "assertion.environment == '${var.environment}' && ${local.released}"
  }
}

resource "google_iam_workload_identity_pool" "github" {
  for_each = local.conditions

  workload_identity_pool_id = "github-${each.key}"
  display_name              = "GitHub: ${each.key}"
  description               = "Workflows that may become terraform-${each.key}."

  depends_on = [google_project_service.enabled]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:it can't follow the local values that name repository, ref and environment
  for_each = local.conditions

  workload_identity_pool_id          = google_iam_workload_identity_pool.github[each.key].workload_identity_pool_id
  workload_identity_pool_provider_id = "actions"
  display_name                       = "GitHub Actions"
  attribute_condition                = "assertion.repository_id == '${var.repository_id}' && ${each.value}"
  attribute_mapping = {
    "google.subject"  = "assertion.sub"
    "attribute.actor" = "assertion.actor" # for the audit log
  }
  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  for_each = local.conditions

  service_account_id = google_service_account.terraform[each.key].id
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.github[each.key].workload_identity_pool_id}/*"
}

output "github_variables" {
  description = "Set these as variables of the GitHub repository; none is a secret."
  value = merge([
    for name, provider in google_iam_workload_identity_pool_provider.github : {
      "${upper(var.environment)}_${upper(name)}_PROVIDER" = "projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${provider.workload_identity_pool_id}/providers/${provider.workload_identity_pool_provider_id}"
      "${upper(var.environment)}_${upper(name)}_ACCOUNT"  = google_service_account.terraform[name].email
    }
  ]...)
}
