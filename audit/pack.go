package audit

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// form is how a text is packed.
type form byte

// A text is packed behind a byte: its form in the three bits above, and below what it begins with, as a place in
// prefixes. Ids are half as long that way. A text of no form is plain: below is its length.
const (
	plainForm  form = iota // as it is
	idForm                 // an id of the store, 16 bytes
	hexForm                // 32 digits, 16 bytes
	uuidForm               // 36 characters, 16 bytes
	base32Form             // 24 characters, 15 bytes, as the ids of requests are made
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

// forms are the endings of texts that are kept as bytes, the longest first.
var forms = []struct {
	form
	length int // in characters
	bytes  int
}{{uuidForm, 36, 16}, {hexForm, 32, 16}, {idForm, 26, 16}, {base32Form, 24, 15}}

// read is the bytes that an ending spells. One that spells them in any other way than write does is none.
func (f form) read(b []byte, s string) bool {
	var again [36]byte
	switch f {
	case uuidForm:
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
		if _, err := hex.Decode(b, []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
			return false
		}
	case hexForm:
		if _, err := hex.Decode(b, []byte(s)); err != nil {
			return false
		}
	case idForm:
		_, id, ok := store.ParseID(s) // which is of one spelling
		copy(b, id[:])
		return ok
	case base32Form:
		if _, err := lowerBase32.Decode(b, []byte(s)); err != nil {
			return false
		}
	}
	return string(f.write(again[:0], b)) == s
}

// write appends the ending that spells the bytes.
func (f form) write(to, b []byte) []byte {
	switch f {
	case uuidForm:
		for _, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10]} {
			to = append(hex.AppendEncode(to, part), '-')
		}
		return hex.AppendEncode(to, b[10:])
	case hexForm:
		return hex.AppendEncode(to, b)
	case idForm:
		return append(to, store.FormatID("", [16]byte(b))...)
	}
	return lowerBase32.AppendEncode(to, b)
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
		if !f.read(raw[:f.bytes], s[at:]) {
			continue
		}
		if p := slices.Index(prefixes, s[:at]); p >= 0 {
			b = append(b, byte(f.form)<<belowBits|byte(p))
		} else {
			b = appendText(append(b, byte(f.form)<<belowBits|spelled), s[:at])
		}
		return append(b, raw[:f.bytes]...)
	}
	if len(s) < spelled {
		return append(append(b, byte(len(s))), s...)
	}
	return append(binary.AppendUvarint(append(b, spelled), uint64(len(s))), s...)
}

// packed reads texts that were packed one behind another, into one piece of memory.
func (d *decoder) packed(into ...*string) {
	var room [256]byte
	var ends [16]int // more than there are
	all := room[:0]
	for i := range into {
		all = d.appendPacked(all)
		ends[i] = len(all)
	}
	text, from := string(all), 0
	for i, s := range into {
		*s, from = text[from:ends[i]], ends[i]
	}
}

// appendPacked appends a text that was packed.
func (d *decoder) appendPacked(to []byte) []byte {
	tag := d.take(1)
	if tag == nil {
		return to
	}
	f, below := form(tag[0]>>belowBits), int(tag[0]&spelled)
	if f == plainForm {
		if below == spelled {
			return append(to, d.bytes()...)
		}
		return append(to, d.take(uint64(below))...)
	}
	switch {
	case below == spelled:
		to = append(to, d.bytes()...)
	case below < len(prefixes):
		to = append(to, prefixes[below]...)
	default:
		d.failed = true
	}
	for i := range forms {
		if forms[i].form == f {
			if raw := d.take(uint64(forms[i].bytes)); raw != nil {
				to = f.write(to, raw)
			}
			return to
		}
	}
	d.failed = true
	return to
}
