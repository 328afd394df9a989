# What must hold whatever the environment: tried on values of its own, protected as production is.

variables {
  project_id          = "healthhub-claims"
  environment         = "prod"
  domain              = "api.example.org"
  region              = "us-central1"
  firestore_location  = "nam5"
  is_protected        = true
  is_warm             = true
  max_instances       = 10
  alert_emails        = ["operator@example.org"]
  billing_account     = "000000-AAAAAA-BBBBBB"
  monthly_budget      = 100
  cors_origins        = ["https://app.example.org"]
  requests_per_minute = { address = 600, token = 300, sign_in = 30 }
  is_firewall_preview = false
  scanners            = 1
  trace_ratio         = 0.1
  secrets             = ["openai-api-key", "smtp-password"]
  mail                = { host = "smtp.example.org", port = 587, user = "healthhub", sender = "no-reply@example.org" }
}

run "claims" {
  command = apply

  assert {
    condition = alltrue([
      for bucket in concat(values(google_storage_bucket.this), [google_storage_bucket.sources]) :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "A bucket can be made public."
  }

  assert {
    condition = alltrue([
      for grant in concat(
        values(google_project_iam_member.database),
        values(google_project_iam_member.service),
        values(google_project_iam_member.traces),
        values(google_project_iam_member.builder),
      ) : !contains(["roles/owner", "roles/editor", "roles/viewer"], grant.role)
    ])
    error_message = "A primitive role is given."
  }

  assert {
    condition = alltrue([
      for name, subscription in google_pubsub_subscription.function :
      try(subscription.dead_letter_policy[0].dead_letter_topic, "") == google_pubsub_topic.dead_letters.id
      || subscription.topic == google_pubsub_topic.dead_letters.id
    ])
    error_message = "What a function can't take is lost: its topic has no dead letters."
  }

  assert {
    condition     = length(distinct([for function in module.function : function.service_account_email])) == length(local.catalog)
    error_message = "Two functions run as the same account."
  }

  assert {
    condition = alltrue([
      for bucket in concat(values(google_storage_bucket.this), [google_storage_bucket.sources]) :
      startswith(bucket.encryption[0].default_kms_key_name, "projects/healthhub-claims/")
    ])
    error_message = "A bucket is not under a key of ours."
  }

  assert {
    condition = alltrue(concat(
      [for database in google_firestore_database.this : database.cmek_config[0].kms_key_name == local.keys["database"]],
      [for topic in values(google_pubsub_topic.function) : topic.kms_key_name == local.keys["pubsub"]],
      [google_pubsub_topic.dead_letters.kms_key_name == local.keys["pubsub"]],
      [google_artifact_registry_repository.functions.kms_key_name == local.keys["functions"]],
      [
        for secret in google_secret_manager_secret.this :
        secret.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == local.keys["secrets"]
      ],
      [for bucket in google_logging_project_bucket_config.this : bucket.cmek_settings[0].kms_key_name == local.keys["logs"]],
    ))
    error_message = "Something that keeps data is not under a key of ours."
  }

  # Where the database lies, its key must lie.
  assert {
    condition     = strcontains(local.keys["database"], "/locations/us/") && strcontains(local.keys["storage"], "/locations/us-central1/")
    error_message = "A key does not lie where what it encrypts lies."
  }

  # Only who opens sealed fields reaches the database of keys, and the key that wraps them.
  assert {
    condition = (
      toset([for grant in google_project_iam_member.database : grant.member if strcontains(grant.condition[0].expression, "/databases/keys")])
      == toset([for grant in google_kms_crypto_key_iam_member.patients : grant.member])
    )
    error_message = "Patients' keys, and what unwraps them, are not given to the same functions."
  }

  assert {
    condition = alltrue([
      for name, function in local.catalog : alltrue([
        for path in try(function.paths, []) : anytrue([
          for rule in google_compute_url_map.api.path_matcher[0].path_rule :
          contains(rule.paths, path) && contains(rule.paths, "/v1${path}") && strcontains(rule.service, replace(name, "_", "-"))
        ])
      ])
    ])
    error_message = "A path of the catalogue does not lead to its function."
  }
}
