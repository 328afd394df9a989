# Where developers try things out: cheap, and nothing in it is worth keeping.
project_id  = "healthhub-dev-4c1d"
environment = "dev"
domain      = "api.dev.healthhub.example.org"

region             = "us-central1"
firestore_location = "us-central1"

is_protected   = false
audit_log_days = 30
backup_days    = 7
retention      = ""

is_warm       = false
max_instances = 5

alert_emails    = ["healthhub-dev@example.org"]
billing_account = ""
monthly_budget  = 50

cors_origins    = ["http://localhost:3000"]
sign_in_domains = ["localhost"]

requests_per_minute = {
  address = 600
  token   = 6000
  sign_in = 30
}
is_firewall_preview = true
scanners            = 0

trace_ratio = 1

speech = {
  location = "us"
  model    = "medical_conversation"
}
note_model     = "gpt-4.1"
healthcare_nlp = ""
mail = {
  host   = ""
  port   = 587
  user   = ""
  sender = "HealthHub dev <no-reply@dev.healthhub.example.org>"
}

secrets = []
