# What only keys, secrets and functions ask for.

variable "secrets" {
  description = "Which of the operator's secrets have a value: openai-api-key, smtp-password. A function is given only those, for it can't start with one that is empty."
  type        = set(string)
  default     = []
  validation {
    condition     = length(setsubtract(var.secrets, ["openai-api-key", "smtp-password"])) == 0
    error_message = "The operator's secrets are openai-api-key and smtp-password."
  }
}

variable "key_versions" {
  description = "Which version of our own secrets counts: a higher number makes a new key, and every function starts anew with it."
  type = object({
    page_token = number
    audit      = number
  })
  default = {
    page_token = 1
    audit      = 1
  }
}
