variable "domain_name" {
  description = "Name that the certificate is for."
  type        = string
  nullable    = false
}

variable "zone_id" {
  description = "Public hosted zone in which the proof of control is published."
  type        = string
  nullable    = false
}
