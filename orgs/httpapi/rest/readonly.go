package rest

// What the server alone writes is taken back and not looked at where an object is sent as it was read: in a body these
// fields have the tag readOnly, which the description of the API shows too. A patch that would change one is refused.

// ServerWritten are such fields of an object.
type ServerWritten struct {
	ID             any `json:"id,omitempty" readOnly:"true"`
	CreatedAt      any `json:"created_at,omitempty" readOnly:"true"`
	UpdatedAt      any `json:"updated_at,omitempty" readOnly:"true"`
	ETag           any `json:"etag,omitempty" readOnly:"true"`
	OrganizationID any `json:"organization_id,omitempty" readOnly:"true"`
	Warnings       any `json:"warnings,omitempty" readOnly:"true"`
}

// ServerWrittenOfDestination are such fields of a destination of the audit log.
type ServerWrittenOfDestination struct {
	Status       any `json:"status,omitempty" readOnly:"true"`
	StatusReason any `json:"status_reason,omitempty" readOnly:"true"`
	CheckedAt    any `json:"checked_at,omitempty" readOnly:"true"`
	SentAt       any `json:"sent_at,omitempty" readOnly:"true"`
	RetryAt      any `json:"retry_at,omitempty" readOnly:"true"`
	Next         any `json:"next_sequence,omitempty" readOnly:"true"`

	APIKeySet                any `json:"api_key_set,omitempty" readOnly:"true"`
	APIKeyUpdatedAt          any `json:"api_key_updated_at,omitempty" readOnly:"true"`
	AccessKeyIDSet           any `json:"access_key_id_set,omitempty" readOnly:"true"`
	AccessKeyIDUpdatedAt     any `json:"access_key_id_updated_at,omitempty" readOnly:"true"`
	SecretAccessKeySet       any `json:"secret_access_key_set,omitempty" readOnly:"true"`
	SecretAccessKeyUpdatedAt any `json:"secret_access_key_updated_at,omitempty" readOnly:"true"`
}

// ServerWrittenOfSSO are such fields of a configuration of single sign-on.
type ServerWrittenOfSSO struct {
	Status   any `json:"status,omitempty" readOnly:"true"`
	ProvedAt any `json:"proved_at,omitempty" readOnly:"true"`
	SP       any `json:"sp,omitempty" readOnly:"true"`
}

// ServerWrittenOfSSOSettings are those of its settings.
type ServerWrittenOfSSOSettings struct {
	Certificates          any `json:"certificates,omitempty" readOnly:"true"`
	ClientSecretSet       any `json:"client_secret_set,omitempty" readOnly:"true"`
	ClientSecretUpdatedAt any `json:"client_secret_updated_at,omitempty" readOnly:"true"`
}

// ServerWrittenOfSCIMToken are those of its token for SCIM.
type ServerWrittenOfSCIMToken struct {
	TokenSet       any `json:"scim_bearer_token_set,omitempty" readOnly:"true"`
	TokenUpdatedAt any `json:"scim_bearer_token_updated_at,omitempty" readOnly:"true"`
}
