package proxy

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// meter stands between the next handler and the client, and finds out what was used. Like a http.ResponseWriter it is for one
// goroutine at a time.
type meter struct {
	h     *handler
	to    http.ResponseWriter
	ctx   context.Context
	r     *http.Request
	e     *endpoint
	adm   *gate.Admission
	call  Call
	began time.Time
	costs bool        // the answer says what it cost
	asked bool        // the client wants to be told what its stream has used
	watch *time.Timer // ends a stream that says nothing

	head   http.Header // of an answer that waits
	status int
	mode   int
	held   []byte  // of an answer that is read when it is whole
	before *[]byte // out of answers: what held began with
	stream *metered
	first  time.Duration // until the first chunk
	ended  bool          // the next handler has returned

	about, input, answers int64 // tokens that the input has about and at most, and how many answers were asked for
	room                  forwarded
}

// What is done with an answer.
const (
	whole    = iota // it is held until it is there, and settled before the client has it
	streamed        // it passes, chunk by chunk
	passing         // it passes unread
)

// Header implements http.ResponseWriter.
func (m *meter) Header() http.Header {
	if m.mode != whole {
		return m.to.Header()
	}
	if m.head == nil {
		m.head = http.Header{}
	}
	return m.head
}

// WriteHeader implements http.ResponseWriter.
func (m *meter) WriteHeader(status int) {
	if m.status != 0 || status < 200 { // what is underway says nothing that the client needs
		return
	}
	m.status = status
	h := m.Header()
	if m.call.Stream && status < 300 && strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
		h.Del("Content-Length") // a chunk may be taken out
		m.release(streamed)
		m.stream = &metered{to: m.to, chunk: m.chunk, hides: !m.asked && !m.costs}
		if m.costs {
			m.stream.cost = m.cost
		}
	}
}

// release sends the head on its way.
func (m *meter) release(mode int) {
	head := m.Header()
	if m.mode = mode; !m.fits() {
		m.patience()
	}
	to := m.to.Header()
	for name, values := range head {
		if !private(name) {
			to[name] = values
		}
	}
	if rate, some := m.adm.Rate(); some {
		httpapi.RateHeaders(to, rate)
	}
	m.to.WriteHeader(m.status)
}

// private says of a header of the upstream that it is about the account of the host, or would contradict what is said here.
func private(name string) bool {
	if name == "" {
		return false
	}
	for _, prefix := range hostly[name[0]|0x20] {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// hostly are prefixes of such headers, by the letters that they begin with.
var hostly = func(prefixes ...string) (by [256][]string) {
	for _, prefix := range prefixes {
		letter := prefix[0] | 0x20
		by[letter] = append(by[letter], prefix)
	}
	return by
}("X-Ratelimit-", "Ratelimit", "Anthropic-Ratelimit-", "Anthropic-Organization-Id", "Openai-Organization", "Openai-Project",
	"Set-Cookie", "X-Request-Id", "Www-Authenticate", "Retry-After-Ms", "Connection", "Transfer-Encoding", "Strict-Transport-Security", "Alt-Svc")

// Write implements http.ResponseWriter.
func (m *meter) Write(b []byte) (int, error) {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	switch m.mode {
	case streamed:
		m.watch.Reset(m.h.opt.Timeout)
		m.patience()
		return m.stream.Write(b)
	case passing:
		m.patience()
		return m.to.Write(b)
	}
	if int64(len(m.held)+len(b)) > m.h.opt.MaxAnswer {
		m.release(passing)
		_, err := m.to.Write(m.held)
		if m.drop(); err != nil {
			return 0, err
		}
		return m.to.Write(b)
	}
	m.keep(b)
	return len(b), nil
}

// FlushError implements what http.ResponseController asks for.
func (m *meter) FlushError() error {
	if m.mode == whole {
		return nil
	}
	return http.NewResponseController(m.to).Flush()
}

// patience gives the client time to read what is sent next, however long it took until then: the server may have meant its
// time-out for shorter answers. A client that reads nothing must not hold money for ever. What comes next may take as long to come.
func (m *meter) patience() {
	_ = http.NewResponseController(m.to).SetWriteDeadline(time.Now().Add(2 * m.h.opt.Timeout)) // where there is one
}

// fits says whether an answer lies in the buffers of the connection as soon as it is sent, whoever reads it, and no time-out of
// the server may have meant it: it needs no patience.
func (m *meter) fits() bool {
	const buffered = 16 << 10
	s, _ := m.ctx.Value(http.ServerContextKey).(*http.Server)
	return m.ended && len(m.held) <= buffered && s != nil && s.WriteTimeout == 0
}

// chunk is told of each event of a stream, and says whether the client is not to see it.
func (m *meter) chunk(data []byte) bool {
	if m.first == 0 {
		m.first = time.Since(m.began)
	}
	return m.e.chunk(m.stream, data)
}

// finish settles the call, and sends an answer that has waited.
func (m *meter) finish() {
	if m.watch != nil {
		m.watch.Stop()
	}
	switch {
	case m.mode == streamed:
		m.stream.end()
		m.settle(m.used())
	case m.status == 0, m.mode == whole && (!m.ended || m.status >= 500 && len(m.held) == 0): // nobody has answered, or it broke off
		m.free()
		m.patience()
		m.h.refuse(m.to, m.r.WithContext(m.ctx), m.e, errUpstream)
	case m.status >= 300:
		m.free()
		m.send()
	case m.e.free:
		m.settle(billing.Usage{})
		m.send()
	case m.mode == passing, encoded(m.head):
		m.settle(billing.Usage{Cost: m.adm.Cost()})
		m.send()
	default:
		u, told := m.e.used(m.held)
		switch {
		case !told:
			u = billing.Usage{Cost: m.adm.Cost()}
		case m.costs:
			m.held = m.withCost(m.held, u)
		}
		m.settle(u)
		m.send()
	}
}

// encoded says whether what was used cannot be read in an answer.
func encoded(h http.Header) bool {
	coding := valueOf(h, "Content-Encoding")
	return coding != "" && coding != "identity"
}

// withCost is an answer with what it cost in its usage, whose length the client is told then.
func (m *meter) withCost(answer []byte, u billing.Usage) []byte {
	priced := costed(answer, m.cost(u))
	if m.head.Get("Content-Length") != "" {
		m.head.Set("Content-Length", strconv.Itoa(len(priced)))
	}
	return priced
}

// cost is what so much is charged, as it is shown: six places, half to even; "" where it is not known.
func (m *meter) cost(u billing.Usage) string {
	c, known := m.adm.Charge(u)
	if !known {
		return ""
	}
	return c.RoundBank(6).String()
}

// used is what a stream has used: what it has told, or else about what has come.
func (m *meter) used() billing.Usage {
	s := m.stream
	if s.told {
		return s.usage
	}
	u := s.usage
	u.OutputTokens = max(u.OutputTokens, min(max(s.chunks, (s.text+3)/4), m.most()))
	if !s.input {
		u.InputTokens = min(m.about, m.input)
	}
	return u
}

func (m *meter) send() {
	if m.mode == whole {
		m.release(passing)
		_, _ = m.to.Write(m.held) // a client that is gone hears nothing
		m.drop()
	}
}

// answers are the bytes that answers of calls before were held in: nobody has them any more, as an io.Writer keeps nothing.
var answers sync.Pool

// maxKept is how large an answer may be whose bytes serve again.
const maxKept = 64 << 10

// keep holds what came of an answer.
func (m *meter) keep(b []byte) {
	if m.held == nil {
		if m.before, _ = answers.Get().(*[]byte); m.before == nil {
			m.before = new([]byte)
		}
		m.held = *m.before
	}
	m.held = append(m.held, b...)
}

// drop gives the bytes of an answer to those that come.
func (m *meter) drop() {
	if m.before != nil && cap(m.held) <= maxKept {
		*m.before = m.held[:0]
		answers.Put(m.before)
	}
	m.held, m.before = nil, nil
}

func (m *meter) settle(u billing.Usage) {
	u.Endpoint, u.Method, u.Status, u.Latency, u.TTFT = m.r.URL.Path, m.r.Method, m.status, time.Since(m.began), m.first
	m.tell(m.adm.Settle(m.ctx, u))
}

func (m *meter) free() { m.tell(m.adm.Release(m.ctx)) }

// tell tells the host what could not be settled: the call was made, and the client gets its answer.
func (m *meter) tell(err error) {
	if err != nil && m.h.opt.Fail != nil {
		m.h.opt.Fail(m.r.WithContext(m.ctx), err)
	}
}

// most is how many tokens of all answers together are paid for.
func (m *meter) most() int64 { return m.adm.MaxOutputTokens * max(m.answers, 1) }
