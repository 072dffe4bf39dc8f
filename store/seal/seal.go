// Package seal keeps secrets at rest: sealed with a key that the host gives, outside of the database.
//
// [New] makes a [Sealer] of the current key and older ones. [Sealer.Seal] turns a [Secret] into a
// [Sealed] text for a column, [Sealer.Open] turns it back.
//
//	sealer, err := seal.New(key)
//	sealed, err := sealer.Seal(in.Token, seal.Place{OrgID: org.ID, Field: "scim.bearer_token"})
//
// Secrets that are only compared, such as API keys, are not sealed but hashed. Where there is much to be sealed, such as
// the events of an audit log, [Sealer.SealPayload] does it, and [Sealer.Marks] make an index of it.
//
// # Without a key
//
// A nil *Sealer is one without a key: everything it is asked is [ErrNoKey]. So a host that gives no key
// can use everything but what has to keep a secret, and that is refused when the secret is written:
// nothing is ever stored in clear instead. [Sealer.Ready] tells beforehand.
//
// # What holds
//
// Whoever reads the database, or a backup of it, learns which secrets are set, their lengths and
// the ids of the keys. Whoever writes to it can bring back an older value of the same place, or remove
// it, but not change one: a value that was altered, or copied to the place of another organization,
// record or field, does not open ([ErrTampered]). Whoever has the memory of the process has it all.
//
// # Keys
//
// A key is 32 random bytes, in base64 or hex, as from openssl rand -base64 32. Its id is made of its
// hash, so two keys never share an id and the host names none. To rotate, give the new key as the
// current one and the former behind it; [Sealer.Reseal] what is met under the former, or all of it in
// a job; when [Sealer.Stale] finds nothing more, drop the former key. A lost key is lost with all that
// was sealed by it.
//
// # Cipher
//
// AES-256-GCM with random nonces, as the standard library has it: in hardware everywhere, within Go's FIPS
// 140-3 module, and without a dependency. Its random nonces of 96 bits are good for 2^32 values per key
// (NIST SP 800-38D §8.3), which secrets of organizations do not reach; payloads have a key for each organization,
// derived by HKDF. XChaCha20-Poly1305 has no such
// bound, but is a module more and is not approved by FIPS. GCM does not commit to its key; the key is
// found by the id in the text, never by trying, and the id is authenticated too.
package seal

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

var (
	// ErrNoKey: the host gave no key, so no secret can be kept or read.
	ErrNoKey = errors.New("no key to seal secrets with is configured")
	// ErrUnknownKey: sealed by a key that is not among the sealer's. The detail is a *[KeyError].
	ErrUnknownKey = errors.New("sealed with a key that is not configured")
	// ErrTampered: the value was altered, or sealed for another place.
	ErrTampered = errors.New("the sealed value was altered or belongs elsewhere")
	// ErrNotSealed: the text is no sealed value at all.
	ErrNotSealed = errors.New("not a sealed value")
	// ErrNoPlace: a place without organization or field.
	ErrNoPlace = errors.New("a secret is sealed for an organization and a field")
)

// KeyError names the key that is missing. It is an [ErrUnknownKey].
type KeyError struct{ ID string }

func (e *KeyError) Error() string { return fmt.Sprintf("%v (%s)", ErrUnknownKey, e.ID) }

// Unwrap makes every KeyError an [ErrUnknownKey].
func (e *KeyError) Unwrap() error { return ErrUnknownKey }

// Place is where a secret is kept. A value that was sealed for one place opens in no other, so whoever moves
// a record to another organization opens and seals again.
type Place struct {
	OrgID  string
	Record string // id of the record, where an organization has several of a kind; may be ""
	Field  string // such as "siem.api_key"; it is never renamed
}

// Sealer seals and opens. It is safe for concurrent use.
type Sealer struct {
	current Key
	keys    map[string]Key
	last    atomic.Pointer[derived]
}

// New returns a sealer that seals with the current key and opens with the older ones too.
func New(current Key, older ...Key) (*Sealer, error) {
	s := &Sealer{current: current, keys: map[string]Key{}}
	for _, k := range append([]Key{current}, older...) {
		if k.aead == nil {
			return nil, ErrNoKey
		}
		s.keys[k.id] = k
	}
	return s, nil
}

// Ready says whether there is a key.
func (s *Sealer) Ready() bool { return s != nil && s.current.aead != nil }

// Seal seals a secret for a place. Sealing twice gives two different texts.
func (s *Sealer) Seal(secret Secret, at Place) (Sealed, error) {
	if !s.Ready() {
		return "", ErrNoKey
	}
	bound, err := at.bind(s.current.id)
	if err != nil {
		return "", err
	}
	box := s.current.aead.Seal(nil, nil, []byte(secret.Reveal()), bound) // makes the nonce and puts it in front
	return Sealed(version + "." + s.current.id + "." + encoding.EncodeToString(box)), nil
}

// Open opens what was sealed for this place: else [ErrTampered], [ErrUnknownKey], [ErrNotSealed] or [ErrNoKey].
func (s *Sealer) Open(sealed Sealed, at Place) (Secret, error) {
	if !s.Ready() {
		return Secret{}, ErrNoKey
	}
	id, box, err := sealed.parse()
	if err != nil {
		return Secret{}, err
	}
	key, ok := s.keys[id]
	if !ok {
		return Secret{}, &KeyError{ID: id}
	}
	bound, err := at.bind(id)
	if err != nil {
		return Secret{}, err
	}
	text, err := key.aead.Open(nil, nil, box, bound)
	if err != nil {
		return Secret{}, ErrTampered
	}
	return NewSecret(string(text)), nil
}

// Stale says whether a value was sealed by another key than the current one.
func (s *Sealer) Stale(sealed Sealed) bool {
	return sealed.IsSet() && (!s.Ready() || sealed.KeyID() != s.current.id)
}

// Reseal returns the value under the current key, the same text if it is that already. The value is opened
// in either case, and its errors are those of [Sealer.Open].
func (s *Sealer) Reseal(sealed Sealed, at Place) (Sealed, error) {
	secret, err := s.Open(sealed, at)
	switch {
	case err != nil:
		return "", err
	case !s.Stale(sealed):
		return sealed, nil
	}
	return s.Seal(secret, at)
}

// The text form is version.key id.base64url(nonce, ciphertext, tag): a value that says how it was made can be
// told from those of later versions.
const (
	version  = "seal1"
	idLength = 16
	overhead = 12 + 16 // nonce and tag
)

var encoding = base64.RawURLEncoding

// Sealed is a secret in its sealed form, for a column of a record: give it the tag `json:"-"` besides. It is
// not printed, logged or marshalled; where JSON has to keep one, such as in a job, convert it to
// string there. "" is no secret.
type Sealed string

// IsSet says whether there is a secret.
func (s Sealed) IsSet() bool { return s != "" }

// KeyID is the id of the key, "" for what is not sealed.
func (s Sealed) KeyID() string {
	id, _, err := s.parse()
	if err != nil {
		return ""
	}
	return id
}

func (s Sealed) parse() (id string, box []byte, err error) {
	rest, ok := strings.CutPrefix(string(s), version+".")
	id, text, dot := strings.Cut(rest, ".")
	if !ok || !dot || len(id) != idLength || strings.Trim(id, "0123456789abcdef") != "" {
		return "", nil, ErrNotSealed
	}
	box, err = encoding.DecodeString(text)
	if err != nil || len(box) < overhead || encoding.EncodeToString(box) != text { // one value, one text
		return "", nil, ErrNotSealed
	}
	return id, box, nil
}

// bind is the additional data of a place: its parts with their lengths before them, so that no two places look
// alike.
func (p Place) bind(keyID string) ([]byte, error) {
	if p.OrgID == "" || p.Field == "" {
		return nil, ErrNoPlace
	}
	var out []byte
	for _, part := range []string{"orgkit", version, keyID, p.OrgID, p.Record, p.Field} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out, nil
}
