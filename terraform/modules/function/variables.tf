variable "name" {
  description = "As in the catalogue: the entry point, and the folder below functions/."
  type        = string
}

variable "kind" {
  description = "http, event or clock."
  type        = string
  validation {
    condition     = contains(["http", "event", "clock"], var.kind)
    error_message = "A function is an http, an event or a clock function."
  }
}

variable "project_id" {
  type = string
}

variable "region" {
  type = string
}

variable "runtime" {
  description = "Such as python311."
  type        = string
}

variable "memory" {
  type = string
}

variable "cpu" {
  type = number
}

variable "timeout" {
  description = "In seconds."
  type        = number
}

variable "concurrency" {
  description = "How many requests one instance takes at once; over 1 it needs a whole cpu."
  type        = number
}

variable "min_instances" {
  type = number
}

variable "max_instances" {
  type = number
}

variable "environment" {
  type = map(string)
}

variable "secrets" {
  description = "By environment variable; the function's account may read these and no others."
  type        = map(object({ secret = string, version = string }))
}

variable "egress" {
  description = "The network by which it reaches private addresses; null: it needs none."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "kms_key" {
  description = "Encrypts the source, the image and the instances."
  type        = string
}

variable "sources_bucket" {
  type = string
}

variable "repository" {
  description = "Artifact Registry's, encrypted by the same key."
  type        = string
}

variable "builder" {
  description = "The service account that builds it: projects/…/serviceAccounts/…"
  type        = string
}

variable "pusher" {
  description = "Who may call an event or clock function: serviceAccount:…"
  type        = string
}

variable "is_protected" {
  type = bool
}

variable "after" {
  description = "Ids of what must be there before it is deployed."
  type        = list(string)
  default     = []
}
