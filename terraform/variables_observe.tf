# What only logs, alarms and dashboards ask for.

variable "application_log_days" {
  description = "For how long the functions' other log lines are kept, beside the audit log."
  type        = number
  default     = 90
  validation {
    condition     = var.application_log_days >= 1 && var.application_log_days <= 3650
    error_message = "Cloud Logging keeps a line for 1 to 3650 days."
  }
}

variable "auditors" {
  description = "Who may read the audit trail of patients' data, and no other log, such as group:auditors@example.org."
  type        = list(string)
  default     = []
}

variable "runbook" {
  description = "Where an alarm's mail sends its reader: the section on alarms, as a URL if the documentation has one."
  type        = string
  default     = "docs/operations.md#alarms"
}
