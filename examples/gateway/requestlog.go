package main

import (
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// logRequests logs every request when it is answered, by the id that the answer carries: by that the audit log knows it too.
// Of the address only the path is logged, and not what follows a mailed link's first part, which is a secret.
func logRequests(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, path := time.Now(), r.URL.Path
		if strings.HasPrefix(path, "/invite/") {
			path = "/invite/…"
		}
		a := &answered{ResponseWriter: w, status: http.StatusOK}
		defer func() { // an answer that breaks off is one too
			log.InfoContext(r.Context(), "request", "method", r.Method, "path", path, "status", a.status, "bytes", a.bytes,
				"duration", time.Since(began).Round(time.Microsecond), "request_id", w.Header().Get("X-Request-Id"))
		}()
		h.ServeHTTP(a, r)
	})
}

// answered remembers what was answered.
type answered struct {
	http.ResponseWriter
	status int
	bytes  int64
	begun  bool
}

func (a *answered) WriteHeader(status int) {
	if !a.begun && status >= 200 { // what comes before is not the answer
		a.status, a.begun = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(b []byte) (int, error) {
	a.begun = true
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush streams.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
