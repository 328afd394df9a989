# What differs between environments. environments/*.tfvars give every value that has no default.

variable "project_id" {
  description = "The Google Cloud project; one project for one environment."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The environments are dev, staging and prod."
  }
}

variable "region" {
  description = "Where functions run and buckets and keys lie."
  type        = string
}

variable "firestore_location" {
  description = "A region, or nam5 or eur3 for copies in several regions. It can never be changed."
  type        = string
}

variable "domain" {
  description = "The name under which the API answers, such as api.example.org. Its DNS is the operator's: point it at the output `address`."
  type        = string
}

# ---------------------------------------------------------------- protection

variable "is_protected" {
  description = "Databases, buckets, keys and functions can't be destroyed by Terraform, and retention is locked for good."
  type        = bool
}

variable "audit_log_days" {
  description = "For how long the audit log is kept; 45 CFR 164.316(b)(2)(i) asks for six years."
  type        = number
  default     = 2192
}

variable "backup_days" {
  description = "For how long weekly backups of the database are kept; 14 weeks at most."
  type        = number
  default     = 98
}

variable "retention" {
  description = "What the functions read as RETENTION (docs/operations.md), such as history=10y. Empty: the defaults."
  type        = string
  default     = ""
}

# ---------------------------------------------------------------- capacity

variable "is_warm" {
  description = "Whether functions keep the instances that the catalogue names as their minimum."
  type        = bool
}

variable "max_instances" {
  description = "How far one function may grow; what is beyond it is answered 429."
  type        = number
}

# ---------------------------------------------------------------- people and alarms

variable "alert_emails" {
  description = "Who is told when something needs a person."
  type        = list(string)
  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "Somebody must be told."
  }
}

variable "billing_account" {
  description = "XXXXXX-XXXXXX-XXXXXX: whose budget is watched. Empty: no budget is made."
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "In units of the billing account's currency."
  type        = number
}

# ---------------------------------------------------------------- the edge

variable "cors_origins" {
  description = "Origins of web apps that may call the API and upload, such as https://app.example.org."
  type        = list(string)
  default     = []
}

variable "sign_in_domains" {
  description = "Domains of apps that people may sign in from."
  type        = list(string)
  default     = []
}

variable "requests_per_minute" {
  description = "How many requests Cloud Armor lets through from one address: without a token, with one (behind a hospital's address there are many), and to sign in."
  type = object({
    address = number
    token   = number
    sign_in = number
  })
}

variable "is_firewall_preview" {
  description = "Cloud Armor's preconfigured rules only log what they would refuse."
  type        = bool
}

variable "scanners" {
  description = "How many clamd machines scan uploads; 0: uploads are not scanned."
  type        = number
}

# ---------------------------------------------------------------- telemetry

variable "trace_ratio" {
  description = "Which share of requests is traced, from 0 to 1."
  type        = number
  validation {
    condition     = var.trace_ratio >= 0 && var.trace_ratio <= 1
    error_message = "A share is from 0 to 1."
  }
}

# ---------------------------------------------------------------- outside services

variable "speech" {
  description = "Where Speech-to-Text works, and with which model."
  type = object({
    location = string
    model    = string
  })
  default = {
    location = "us"
    model    = "medical_conversation"
  }
}

variable "vision_location" {
  description = "Where Cloud Vision looks at images: us or eu. It keeps none."
  type        = string
  default     = "us"
  validation {
    condition     = contains(["us", "eu"], var.vision_location)
    error_message = "Cloud Vision works in us or eu."
  }
}

variable "note_model" {
  description = "OpenAI's model that drafts notes."
  type        = string
  default     = "gpt-4.1"
}

variable "assistant" {
  description = "OpenAI's models behind the assistant, their prices in US dollars for a million tokens read and written, and what one person may use in a day."
  type = object({
    chat_model      = optional(string, "gpt-4.1-mini")
    care_model      = optional(string, "gpt-4.1")
    embedding_model = optional(string, "text-embedding-3-small")
    prices          = optional(string, "gpt-4.1=2/8,gpt-4.1-mini=0.4/1.6,text-embedding-3-small=0.02/0")
    daily_tokens    = optional(number, 200000)
    daily_cents     = optional(number, 50)
  })
  default = {}
  validation {
    condition     = var.assistant.daily_tokens >= 0 && var.assistant.daily_cents >= 0
    error_message = "A day's budget is not negative; 0 means that no model is asked."
  }
}

variable "image_analyser" {
  description = "Who gives an opinion of de-identified images: openai, or, empty, nobody."
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "openai"], var.image_analyser)
    error_message = "Only openai is built, or nobody."
  }
}

variable "image_model" {
  description = "OpenAI's model that looks at images, where image_analyser says so."
  type        = string
  default     = "gpt-4.1"
}

variable "healthcare_nlp" {
  description = "projects/…/locations/… of the Healthcare Natural Language API; empty: our own list of terms."
  type        = string
  default     = ""
}

variable "mail" {
  description = "The mail relay; without a host, no mail is sent."
  type = object({
    host   = string
    port   = number
    user   = string
    sender = string
  })
}
