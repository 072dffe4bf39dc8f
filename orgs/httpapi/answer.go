package httpapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
)

// WriteJSON answers with a body. Characters of HTML stay as they are, so that URLs in it can be read.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // a client that is gone hears nothing
}

// LogFailures is an [Options.Fail] that logs; nil logs nothing.
func LogFailures(log *slog.Logger) func(*http.Request, error) {
	return func(r *http.Request, err error) {
		if log != nil {
			log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "request_id", RequestID(r.Context()), "error", err)
		}
	}
}

// Recorder is a http.ResponseWriter that keeps an answer until it is known what becomes of it. The zero Recorder is ready.
// Like others it is for one goroutine at a time.
type Recorder struct {
	Status int // 0: nothing was answered
	Body   bytes.Buffer
	header http.Header
}

// Header is that of the answer.
func (r *Recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

// WriteHeader begins the answer.
func (r *Recorder) WriteHeader(status int) {
	if r.Status == 0 {
		r.Status = status
	}
}

// Write writes a part of it.
func (r *Recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.Body.Write(b)
}

// CopyTo gives the answer.
func (r *Recorder) CopyTo(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(max(r.Status, http.StatusOK))
	_, _ = w.Write(r.Body.Bytes())
}
