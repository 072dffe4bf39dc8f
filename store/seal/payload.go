package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// A payload is key id ‖ nonce ‖ ciphertext ‖ tag.
const payloadOverhead = idLength/2 + overhead

// uses of a key that are derived from it: payloads and marks of each organization have a key of their own, so that the
// bound on random nonces is one of the organization.
const (
	usePayload = "payload"
	useMark    = "mark"
)

// SealPayload seals bytes for a place, such as what an event holds: what there is too much of for one key. They become
// 36 bytes longer.
func (s *Sealer) SealPayload(b []byte, at Place) ([]byte, error) {
	if !s.Ready() {
		return nil, ErrNoKey
	}
	bound, err := at.bind(s.current.id)
	if err != nil {
		return nil, err
	}
	aead, err := s.payloads(s.current, at.OrgID)
	if err != nil {
		return nil, err
	}
	box, err := hex.AppendDecode(make([]byte, 0, len(b)+payloadOverhead), []byte(s.current.id))
	if err != nil {
		return nil, err
	}
	return aead.Seal(box, nil, b, bound), nil
}

// OpenPayload opens what [Sealer.SealPayload] has sealed for this place. Errors are those of [Sealer.Open].
func (s *Sealer) OpenPayload(box []byte, at Place) ([]byte, error) {
	switch {
	case !s.Ready():
		return nil, ErrNoKey
	case len(box) < payloadOverhead:
		return nil, ErrNotSealed
	}
	id := hex.EncodeToString(box[:idLength/2])
	key, ok := s.keys[id]
	if !ok {
		return nil, &KeyError{ID: id}
	}
	bound, err := at.bind(id)
	if err != nil {
		return nil, err
	}
	aead, err := s.payloads(key, at.OrgID)
	if err != nil {
		return nil, err
	}
	b, err := aead.Open(nil, nil, box[idLength/2:], bound)
	if err != nil {
		return nil, ErrTampered
	}
	return b, nil
}

// StalePayload says whether a payload was sealed by another key than the current one.
func (s *Sealer) StalePayload(box []byte) bool {
	return !s.Ready() || len(box) < payloadOverhead || hex.EncodeToString(box[:idLength/2]) != s.current.id
}

// Marks are what equal texts have in common at a place, for an index of what is sealed: under the current key, and behind
// that under the older ones, by which what was marked before is found. Nobody without a key finds out a text by its mark,
// but that two are equal; of different texts the marks differ but once in 2^64 pairs.
func (s *Sealer) Marks(text string, at Place) (marks []uint64, err error) {
	if !s.Ready() {
		return nil, ErrNoKey
	}
	mark := func(k Key) error {
		bound, err := at.bind(k.id)
		if err != nil {
			return err
		}
		secret, err := k.derive(useMark, at.OrgID)
		if err != nil {
			return err
		}
		h := hmac.New(sha256.New, secret)
		h.Write(bound)
		h.Write([]byte(text))
		marks = append(marks, binary.BigEndian.Uint64(h.Sum(nil)))
		return nil
	}
	if err := mark(s.current); err != nil {
		return nil, err
	}
	for id, k := range s.keys {
		if id == s.current.id {
			continue
		}
		if err := mark(k); err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// derived is the key of the payloads of one organization.
type derived struct {
	keyID, orgID string
	aead         cipher.AEAD
}

// payloads is that key. The last one is kept: what reads many payloads reads those of one organization.
func (s *Sealer) payloads(k Key, orgID string) (cipher.AEAD, error) {
	if d := s.last.Load(); d != nil && d.keyID == k.id && d.orgID == orgID {
		return d.aead, nil
	}
	raw, err := k.derive(usePayload, orgID)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	s.last.Store(&derived{k.id, orgID, aead})
	return aead, nil
}
