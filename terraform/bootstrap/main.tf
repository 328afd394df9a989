# What must be there before anything can be deployed: where the state is kept, who plans and who applies,
# and how GitHub's workflows become them without a key. A person with the role Owner applies it once for
# each project, and again when something here changes; no workflow ever does, for it decides what
# workflows may do.
#
# The bucket of its own state is among what it makes. So the first time, the state lies beside it:
#
#   gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com --project=PROJECT
#   echo 'terraform { backend "local" {} }' > backend_override.tf      # git ignores it
#   terraform init
#   terraform apply -var-file=staging.tfvars                           # commit it: nothing in it is a secret
#   rm backend_override.tf
#   terraform init -migrate-state -backend-config=bucket=PROJECT-terraform-state
#   rm terraform.tfstate*
#
# Later: `terraform init -reconfigure -backend-config=bucket=PROJECT-terraform-state`, and apply.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }

  backend "gcs" {
    prefix = "bootstrap"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
  default_labels = {
    app         = "healthhub"
    environment = var.environment
  }
}

data "google_project" "this" {
  project_id = var.project_id
}

# Only what is needed here; terraform/apis.tf enables the rest.
resource "google_project_service" "enabled" {
  for_each = toset([
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com", # who plans or applies is impersonated
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com", # takes GitHub's tokens
  ])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}
