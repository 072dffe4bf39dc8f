package proxy

import (
	"bytes"
	"net/http"

	"github.com/orgkit/orgkit/billing"
)

// metered passes a stream of server-sent events on, one event at a time, and reads in them what was used.
type metered struct {
	to    http.ResponseWriter
	chunk func(data []byte) (hide bool)

	event []byte // as far as it has come
	long  bool   // it is too long to be read, and passes as it comes
	begun bool   // its last line has something in it, as far as that has come

	usage  billing.Usage
	told   bool                       // usage is all that there is to tell
	input  bool                       // of the input it is
	hides  bool                       // the client has not asked for what was used
	cost   func(billing.Usage) string // that is to be told with it, nil for not at all
	chunks int64                      // that had something of the answer
	text   int64                      // bytes of the answer
}

// maxEvent is how long an event may be that is read.
const maxEvent = 4 << 20

// Write implements io.Writer.
func (s *metered) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if whole {
			line = b[:len(line)+1]
		}
		b = rest
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			s.begun = true
		}
		last := whole && !s.begun // an empty line ends the event
		if whole {
			s.begun = false
		}
		if s.long {
			if _, err := s.to.Write(line); err != nil {
				return 0, err
			}
			s.long = !last
			continue
		}
		s.event = append(s.event, line...)
		switch {
		case last:
			if err := s.pass(); err != nil {
				return 0, err
			}
		case len(s.event) > maxEvent:
			if err := s.raw(); err != nil {
				return 0, err
			}
			s.long = true
		}
	}
	return n, nil
}

// pass reads the event that is whole now and passes it on.
func (s *metered) pass() error {
	var data []byte
	for line := range bytes.SplitSeq(s.event, []byte("\n")) {
		if value, is := bytes.CutPrefix(line, []byte("data:")); is {
			value = bytes.TrimSuffix(bytes.TrimPrefix(value, []byte(" ")), []byte("\r"))
			if data == nil {
				data = value
			} else {
				data = append(append(bytes.Clone(data), '\n'), value...)
			}
		}
	}
	told := s.usage
	if len(data) > 0 && s.chunk(data) {
		s.event = s.event[:0]
		return nil
	}
	if s.cost != nil && s.told && s.usage != told {
		return s.priced(data)
	}
	return s.raw()
}

// priced passes the event on that tells the usage, with the cost in it.
func (s *metered) priced(data []byte) error {
	var event []byte
	for line := range bytes.SplitSeq(s.event, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 && !bytes.HasPrefix(line, []byte("data:")) {
			event = append(append(event, line...), '\n')
		}
	}
	for line := range bytes.SplitSeq(costed(data, s.cost(s.usage)), []byte("\n")) {
		event = append(append(append(event, "data: "...), line...), '\n')
	}
	s.event = append(event, '\n')
	return s.raw()
}

func (s *metered) raw() error {
	_, err := s.to.Write(s.event)
	s.event = s.event[:0]
	return err
}

// end reads what came after the last whole event, and passes it on.
func (s *metered) end() {
	if len(s.event) > 0 {
		_ = s.pass() // a client that is gone hears nothing
	}
}
