variable "project_id" {
  description = "The Google Cloud project; one project for one environment."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod; also the name of GitHub's environment."
  type        = string
  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The environments are dev, staging and prod."
  }
}

variable "region" {
  description = "Where the state and its key lie."
  type        = string
}

variable "repository_id" {
  description = "GitHub's number of the repository (`gh api repos/OWNER/NAME --jq .id`): its name could become another's. Empty: nothing is deployed from GitHub."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[0-9]*$", var.repository_id))
    error_message = "It is a number."
  }
}

variable "deployers" {
  description = "People who may apply from their own machine, such as group:platform@example.org."
  type        = set(string)
  default     = []
}

variable "billing_account" {
  description = "XXXXXX-XXXXXX-XXXXXX, where a budget is to be made; whoever applies this must administer it. Empty: none."
  type        = string
  default     = ""
}
