package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Argon2 are the parameters of argon2id (RFC 9106). They stand in each hash; one with others is made anew at the next
// sign-in.
type Argon2 struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultArgon2 takes 19 MiB, which the OWASP has as its first choice: much for who guesses on many cards at a time, and
// little for a host that signs many in at once.
var DefaultArgon2 = Argon2{MemoryKiB: 19456, Passes: 2, Lanes: 1}

const (
	saltSize = 16
	keySize  = 32
)

// What a hash from elsewhere may cost to check. More would be a way to stop the host.
const (
	maxMemoryKiB  = 256 << 10
	maxPasses     = 16
	maxLanes      = 16
	maxBcryptCost = 15
	maxSalt       = 64
	maxKey        = 64
	maxHash       = 300 // characters of all of it
)

func (p Argon2) validate() error {
	switch {
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("signin: argon2 takes 1 to %d passes", maxPasses)
	case p.Lanes < 1 || p.Lanes > maxLanes:
		return fmt.Errorf("signin: argon2 takes 1 to %d lanes", maxLanes)
	case p.MemoryKiB < 8*uint32(p.Lanes) || p.MemoryKiB > maxMemoryKiB:
		return fmt.Errorf("signin: argon2 takes 8 KiB per lane to %d KiB of memory", maxMemoryKiB)
	}
	return nil
}

// errHash: it is no hash that is taken here. Its text repeats nothing of it.
var errHash = errors.New("must be an argon2id hash in the PHC form, or a bcrypt hash")

// hash is one of a password. Those of bcrypt are kept as they came.
type hash struct {
	Argon2
	salt, key []byte
	bcrypt    string
}

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)

// parseHash reads $argon2id$v=19$m=…,t=…,p=…$salt$key, or what bcrypt writes. What would cost too much is none.
func parseHash(s string) (h hash, err error) {
	if len(s) > maxHash {
		return h, errHash
	}
	if m := bcryptForm.FindStringSubmatch(s); m != nil {
		cost, _ := strconv.Atoi(m[1])
		if cost < bcrypt.MinCost || cost > maxBcryptCost {
			return h, errHash
		}
		return hash{bcrypt: s}, nil
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, errHash
	}
	numbers := strings.Split(parts[3], ",")
	if len(numbers) != 3 {
		return h, errHash
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		text, is := strings.CutPrefix(numbers[i], name)
		if n[i], err = strconv.ParseUint(text, 10, 32); err != nil || !is || strconv.FormatUint(n[i], 10) != text {
			return h, errHash
		}
	}
	if n[2] > maxLanes {
		return h, errHash
	}
	h.Argon2 = Argon2{uint32(n[0]), uint32(n[1]), uint8(n[2])}
	salt, err1 := encoding.DecodeString(parts[4])
	key, err2 := encoding.DecodeString(parts[5])
	if h.validate() != nil || err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > maxSalt || len(key) < 16 || len(key) > maxKey {
		return hash{}, errHash
	}
	h.salt, h.key = salt, key
	if h.String() != s { // one hash, one text
		return hash{}, errHash
	}
	return h, nil
}

var encoding = base64.RawStdEncoding

// String is the form in which it is kept.
func (h hash) String() string {
	if h.bcrypt != "" {
		return h.bcrypt
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.MemoryKiB, h.Passes, h.Lanes,
		encoding.EncodeToString(h.salt), encoding.EncodeToString(h.key))
}

// maxBcrypt is how many bytes of a password bcrypt looks at. Two that agree in these would be the same to it.
const maxBcrypt = 72

// is says whether it is the hash of the password.
func (h hash) is(password string) bool {
	if h.bcrypt != "" {
		return bcrypt.CompareHashAndPassword([]byte(h.bcrypt), []byte(password[:min(len(password), maxBcrypt)])) == nil && len(password) <= maxBcrypt
	}
	key := argon2.IDKey([]byte(password), h.salt, h.Passes, h.MemoryKiB, h.Lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// hasher makes and checks hashes, a few at a time: each takes the memory that its parameters say.
type hasher struct {
	Argon2
	slots chan struct{}
	dummy hash // of nobody's password, and of as much work as any
}

func newHasher(p Argon2, atOnce int) *hasher {
	h := &hasher{Argon2: p, slots: make(chan struct{}, atOnce), dummy: hash{Argon2: p, salt: make([]byte, saltSize), key: make([]byte, keySize)}}
	rand.Read(h.dummy.salt)
	rand.Read(h.dummy.key)
	return h
}

// enter waits for its turn.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make returns the hash of a password as it is kept.
func (h *hasher) make(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	made := hash{Argon2: h.Argon2, salt: make([]byte, saltSize)}
	rand.Read(made.salt)
	made.key = argon2.IDKey([]byte(password), made.salt, h.Passes, h.MemoryKiB, h.Lanes, keySize)
	return made.String(), nil
}

// check says whether a hash, as it is kept, is that of the password, and whether it is to be made anew. Where there is
// none it does as much work for nothing.
func (h *hasher) check(ctx context.Context, kept, password string) (is, stale bool, err error) {
	of := h.dummy
	if kept != "" {
		if of, err = parseHash(kept); err != nil {
			return false, false, fmt.Errorf("signin: a hash that is kept: %w", err)
		}
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	is = of.is(password) && kept != ""
	return is, of.Argon2 != h.Argon2 || len(of.salt) < saltSize || len(of.key) != keySize, nil
}
