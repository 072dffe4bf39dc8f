package httpapi

// Operation describes a call that is served beside the native dialect, for the description that the dialect serves of all
// of them. Body, Query and Answer are zero values of the types that encoding/json reads and writes; a field of Query has the
// tag query. Nil is none.
type Operation struct {
	Method, Path string // of the native dialect, such as /v1/sessions/{session}
	Summary      string
	Status       int  // of a success
	Open         bool // for who has no credential
	Repeats      bool // with an Idempotency-Key it is done once
	Query        any
	Body         any
	Answer       any
}
