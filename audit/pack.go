package audit

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// A text is packed behind a byte: its form in the three bits above, and below what it begins with, as a place in
// prefixes. Ids are half as long that way. A text of no form is plain: below is its length.
const (
	plainForm  = iota // as it is
	idForm            // an id of the store, 16 bytes
	hexForm           // 32 digits, 16 bytes
	uuidForm          // 36 characters, 16 bytes
	base32Form        // 24 characters, 15 bytes, as the ids of requests are made
)

const (
	belowBits = 5
	spelled   = 1<<belowBits - 1 // the prefix, or the length, stands behind
	maxPrefix = 16
)

// prefixes are what ids begin with. What is stored counts on their places: new ones go to the end, 31 are the most.
var prefixes = []string{"", "evt_", "usr_", "key_", "org_", "team_", "proj_", "role_", "pol_", "bud_", "inv_", "tok_", "mem_", "req_",
	"acct_", "apr_", "ovr_", "res_", "job_", "dst_", "user_", "project_", "policy_", "budget_", "invitation_", "token_", "session_", "report_", "api_key_"}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// forms are the endings of texts that are kept as bytes, the longest first. An ending that spells bytes in any other way
// than write does is none.
var forms = []struct {
	form   byte
	length int // in characters
	bytes  int
	read   func(b []byte, s string) bool
	write  func(b []byte) string
}{
	{uuidForm, 36, 16, func(b []byte, s string) bool {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
		_, err := hex.Decode(b, []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]))
		return err == nil
	}, func(b []byte) string {
		s := hex.EncodeToString(b)
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}},
	{hexForm, 32, 16, func(b []byte, s string) bool {
		_, err := hex.Decode(b, []byte(s))
		return err == nil
	}, hex.EncodeToString},
	{idForm, 26, 16, func(b []byte, s string) bool {
		_, id, ok := store.ParseID(s)
		copy(b, id[:])
		return ok
	}, func(b []byte) string { return store.FormatID("", [16]byte(b)) }},
	{base32Form, 24, 15, func(b []byte, s string) bool {
		_, err := lowerBase32.Decode(b, []byte(s))
		return err == nil
	}, lowerBase32.EncodeToString},
}

// pack appends a text.
func pack(b []byte, s string) []byte {
	for i := range forms {
		f := &forms[i]
		at := len(s) - f.length
		if at < 0 || at > maxPrefix {
			continue
		}
		var raw [16]byte
		if !f.read(raw[:], s[at:]) || f.write(raw[:f.bytes]) != s[at:] {
			continue
		}
		if p := slices.Index(prefixes, s[:at]); p >= 0 {
			b = append(b, f.form<<belowBits|byte(p))
		} else {
			b = appendText(append(b, f.form<<belowBits|spelled), s[:at])
		}
		return append(b, raw[:f.bytes]...)
	}
	if len(s) < spelled {
		return append(append(b, byte(len(s))), s...)
	}
	return append(binary.AppendUvarint(append(b, spelled), uint64(len(s))), s...)
}

// packed reads a text that was packed.
func (d *decoder) packed() string {
	tag := d.take(1)
	if tag == nil {
		return ""
	}
	below := int(tag[0] & spelled)
	if tag[0]>>belowBits == plainForm {
		if below == spelled {
			return d.text()
		}
		return string(d.take(uint64(below)))
	}
	var prefix string
	switch {
	case below == spelled:
		prefix = d.text()
	case below < len(prefixes):
		prefix = prefixes[below]
	default:
		d.failed = true
	}
	for i := range forms {
		if f := &forms[i]; f.form == tag[0]>>belowBits {
			if raw := d.take(uint64(f.bytes)); raw != nil {
				return prefix + f.write(raw)
			}
			return ""
		}
	}
	d.failed = true
	return ""
}
