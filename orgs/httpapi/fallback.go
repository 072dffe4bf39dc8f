package httpapi

import (
	"net/http"
)

// Fallback serves a mux and answers for what it does not serve: an unknown path is 404 and a wrong
// method 405 with Allow, as problems instead of plain text.
func Fallback(mux *http.ServeMux, o *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &statusOnly{header: http.Header{}}
		h.ServeHTTP(probe, r)
		switch probe.status {
		case http.StatusMethodNotAllowed:
			w.Header()["Allow"] = probe.header["Allow"]
			o.write(w, r, NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path has other methods"))
		case http.StatusNotFound:
			o.write(w, r, NewProblem(http.StatusNotFound, "not_found", "there is no such path"))
		default: // a redirect to the clean path
			h.ServeHTTP(w, r)
		}
	})
}

// statusOnly takes the status and headers of an answer and drops its body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header { return s.header }

func (s *statusOnly) WriteHeader(status int) { s.status = status }

func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
