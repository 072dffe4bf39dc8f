package seal

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what is shown instead of a secret, sealed or not.
const redacted = "[redacted]"

// Secret is a secret in clear, on its way in or out. Nothing prints, logs or marshals it, neither by itself
// nor inside of something: only [Secret.Reveal] gives it away. It is read from a JSON string. The zero
// Secret is "". Records keep a [Sealed] instead.
type Secret struct {
	_    [0]func() // == would compare pointers; see Equal
	text *string   // fmt does not follow pointers in fields that it may not call methods on
}

// NewSecret wraps a secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the secret in clear.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether the secret is "", also for the option omitzero of JSON.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares in a time that tells nothing but whether the lengths differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String redacts.
func (s Secret) String() string { return redacted }

// GoString redacts.
func (s Secret) GoString() string { return redacted }

// Format redacts, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue redacts.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON redacts.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// UnmarshalJSON reads a string. What MarshalJSON wrote is an error: whoever sends back what they read would
// replace the secret by its redaction.
func (s *Secret) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a secret must be a string") // that of json could quote the value
	}
	if text == redacted {
		return errors.New("a secret that was redacted cannot be written back")
	}
	*s = NewSecret(text)
	return nil
}

// String redacts. Convert to string for the text.
func (s Sealed) String() string { return redacted }

// GoString redacts.
func (s Sealed) GoString() string { return redacted }

// Format redacts, whatever the verb.
func (s Sealed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue redacts.
func (s Sealed) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts.
func (s Sealed) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON redacts.
func (s Sealed) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// UnmarshalJSON refuses: what JSON would hold is redacted, and a sealed text from outside was not sealed here.
func (s *Sealed) UnmarshalJSON([]byte) error {
	return errors.New("a sealed secret is not read from JSON")
}
