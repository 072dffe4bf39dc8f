package audit

import "encoding/binary"

// What is personal in an event is mostly the names of fields and of programs. It is kept squeezed: runs of it that stand
// in phrases, or came before, are replaced by where they are (LZ77). What is hashed is never squeezed. The general
// compressors take longer for these few bytes than the rest of an append.
//
// A byte below 128 is the length of what follows as it is, less one. Any other is the length of a match, less minMatch,
// above 128, and behind it is how far back it begins, as a varint: in the phrases and what came behind them.
const (
	minMatch = 4
	maxMatch = minMatch + 127
	maxRun   = 128
)

// phrases are part of what is stored: whoever changes them gives bodies another version.
const phrases = `{"truncated":{"bytes":,"sha256":"` + `"email_verified":true,"mfa_verified_at":"` + `"effective_permissions":` + `"max_amount":"` + `"require_approval":true` +
	`,"permissions":["team_id":"team_"project_id":"proj_","user_id":"usr_","role_id":"role_","key_id":"key_","parent_id":"org_"` +
	`,"metadata":{},"settings":{"budget":{"monthly_limit":"hard_limit":"tags":["models":["scope":"prefix":"hash":"value":"` +
	`,"expires_at":"2026-01-01T00:00:00Z","revoked_at":null,"last_used_at":"` + `"description":"` + `"organization_id":"org_` + `","org_id":"org_` +
	`"resource":"` + `"action":"` + `"enabled":false` + `"events":` + `"sequence":` + `"slug":"` + `"role":"` + `"email":"` + `@example.com` +
	`{"rule":"no_grant","wanted":"` + `{"rows":` + `"type":"` + `"status":"active"` + `","version":1,"created_at":"` + `","updated_at":"2026-` +
	`{"id":"org_01` + `{"id":"usr_01` + `{"id":"key_01` + `{"id":"team_01` + `","name":"` + `","state":"disabled","created_by":"usr_01` + `","limit":"` + `{"limit":"` + `0","state":"active"}` +
	`Terraform/1.` + `curl/8.` + `OpenAI/Python 1.` + `python-requests/2.3` + `Go-http-client/2.0` + `Mozilla/5.0 (X11; Linux x86_64) ` + `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ` +
	`Version/18.1 Mobile/15E148 Safari/604.1` + `Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:13` + `2.0) Gecko/20100101 Firefox/13` + `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ` +
	`Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/13` + `1.0.0.0 Safari/537.36`

const hashBits = 11

// places are where four bytes stand in the phrases, plus one, by their hash.
var places = func() (at [1 << hashBits]uint16) {
	for i := range len(phrases) - minMatch + 1 {
		at[hash4(phrases[i:])] = uint16(i) + 1
	}
	return at
}()

func hash4[T string | []byte](s T) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 2654435761 >> (32 - hashBits)
}

// squeeze appends b, squeezed.
func squeeze(to, b []byte) []byte {
	var own [1 << hashBits]uint16 // as places, in b
	run := 0                      // where what is not written yet begins
	flush := func(end int) {
		for run < end {
			n := min(end-run, maxRun)
			to = append(append(to, byte(n-1)), b[run:run+n]...)
			run += n
		}
	}
	for i := 0; i+minMatch <= len(b) && i < 1<<16-2; {
		h := hash4(b[i:])
		length, back := 0, 0
		if p := int(own[h]); p > 0 {
			length, back = common(b[p-1:], b[i:]), i-(p-1)
		}
		if p := int(places[h]); p > 0 {
			if n := common(phrases[p-1:], b[i:]); n > length {
				length, back = n, i+len(phrases)-(p-1)
			}
		}
		own[h] = uint16(i) + 1
		if length < minMatch || length == minMatch && back > 1<<14 {
			i++
			continue
		}
		flush(i)
		to = binary.AppendUvarint(append(to, 128+byte(length-minMatch)), uint64(back))
		for end := i + length; i+1 < end && i+1+minMatch <= len(b); {
			i++
			own[hash4(b[i:])] = uint16(i) + 1
		}
		run += length
		i = run
	}
	flush(len(b))
	return to
}

// common is how long two texts begin alike.
func common[A, B string | []byte](a A, b B) (n int) {
	for limit := min(len(a), len(b), maxMatch); n < limit && a[n] == b[n]; {
		n++
	}
	return n
}

// expand returns what was squeezed, at most limit bytes of it; not ok where it was not.
func expand(b []byte, limit int) (out []byte, ok bool) {
	out = make([]byte, 0, 3*len(b))
	for len(b) > 0 {
		n := int(b[0])
		b = b[1:]
		if n < 128 {
			if n++; n > len(b) {
				return nil, false
			}
			out, b = append(out, b[:n]...), b[n:]
		} else {
			n -= 128 - minMatch
			back, size := binary.Uvarint(b)
			if size <= 0 || back == 0 || back > uint64(len(out)+len(phrases)) {
				return nil, false
			}
			b = b[size:]
			for at := len(out) - int(back); n > 0; at, n = at+1, n-1 {
				switch {
				case at >= 0:
					out = append(out, out[at])
				default:
					out = append(out, phrases[len(phrases)+at])
				}
			}
		}
		if len(out) > limit {
			return nil, false
		}
	}
	return out, true
}
