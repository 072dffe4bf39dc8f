package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// KeySize is the size of a key in bytes.
const KeySize = 32

// ErrWeakKey: the key is not 32 bytes, or they were not drawn at random. No text about a key repeats it.
var ErrWeakKey = errors.New("not a key")

// Key seals. The zero Key is none. It is printed as its id.
type Key struct {
	id   string
	aead cipher.AEAD // holds what was made of the key, behind a pointer

	// derive makes a key of it for one use and organization (HKDF, RFC 5869). It holds the key where nothing prints it.
	derive func(use, orgID string) ([]byte, error)
}

// ParseKey reads a key of 32 bytes in base64 (either alphabet, padded or not) or hex. Space around it, as
// at the end of a file, is ignored. The error is an [ErrWeakKey].
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Key{}, weak("is empty")
	}
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == KeySize {
		return NewKey(raw)
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return Key{}, weak("is neither base64 nor hex")
	}
	return NewKey(raw)
}

// NewKey returns the key of 32 random bytes, such as a key service gives them. Bytes that are plainly not
// random are an [ErrWeakKey]: too few different ones, or all of them characters, as in a password. That
// refuses a random key once in 10^13 times.
func NewKey(raw []byte) (Key, error) {
	if len(raw) != KeySize {
		return Key{}, weak(fmt.Sprintf("has %d bytes and not %d", len(raw), KeySize))
	}
	different, characters, steps := map[byte]bool{}, 0, map[byte]bool{}
	for i, b := range raw {
		different[b] = true
		steps[b-raw[max(i-1, 0)]] = true
		if ' ' <= b && b <= '~' {
			characters++
		}
	}
	if len(different) < KeySize/2 || len(steps) < KeySize/2 || characters == KeySize {
		return Key{}, weak("is not random: draw one with openssl rand -base64 32")
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return Key{}, ErrWeakKey
	}
	root := bytes.Clone(raw)
	derive := func(use, orgID string) ([]byte, error) {
		return hkdf.Key(sha256.New, root, nil, "orgkit "+use+"\x00"+orgID, KeySize)
	}
	sum := sha256.Sum256(append([]byte("orgkit seal key id\x00"), raw...))
	return Key{id: hex.EncodeToString(sum[:idLength/2]), aead: aead, derive: derive}, nil
}

func newAEAD(raw []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// GenerateKey draws a key and returns its text, for a host's set-up command.
func GenerateKey() string {
	raw := make([]byte, KeySize)
	rand.Read(raw) // never fails: it crashes the program instead (crypto/rand since Go 1.24)
	return base64.StdEncoding.EncodeToString(raw)
}

func weak(why string) error { return fmt.Errorf("%w: it %s", ErrWeakKey, why) }

// ID names the key in what it sealed. It says nothing about a random key. "" is no key.
func (k Key) ID() string { return k.id }

// Format prints the id, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "seal.Key("+k.id+")") }
