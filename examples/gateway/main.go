// Command gateway serves every handler that this library has, as a host of its own would.
//
//	go run ./examples/gateway -addr 127.0.0.1:8080 -db sqlite:orgkit.db -admin-key KEY
//
// It delivers audit logs to the destinations of organizations; -allow opens some that are not public, for tests.
// The key that seals secrets of organizations, as from openssl rand -base64 32, is in ORGKIT_SEAL_KEY; without one such
// secrets are refused. It prints one line, "listening on http://HOST:PORT", on standard output when it is ready, trusts
// loopback for X-Forwarded-For, and ends cleanly on SIGTERM and SIGINT.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/examples/internal/opendb"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	db := flag.String("db", "sqlite:orgkit.db", "memory:, sqlite:PATH or postgres://…")
	key := flag.String("admin-key", "", "bearer token of the platform's operator; empty makes one and prints it")
	auditKey := flag.String("audit-key", "", "secret key that signs checkpoints of the audit log; empty: none are signed. -audit-key=new makes one, prints it and ends")
	exports := newExportFlags(flag.CommandLine)
	flag.Parse()
	if *auditKey == "new" {
		secret, public, err := audit.NewKey("orgkit-gateway")
		if err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
			os.Exit(1)
		}
		fmt.Printf("secret: %s\npublic: %s\n", secret, public)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, *addr, *db, *key, *auditKey, exports); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, messages io.Writer, addr, db, adminKey, auditKey string, exports exportFlags) error {
	if adminKey == "" {
		adminKey = "ok_admin_" + rand.Text()
		fmt.Fprintln(messages, "admin key:", adminKey)
	}
	s, err := opendb.Open(ctx, db)
	if err != nil {
		return err
	}
	defer s.Close()
	log := slog.New(slog.NewTextHandler(messages, nil))
	m, x, err := manager(s, auditKey, exports, log)
	if err != nil {
		return err
	}
	defer m.Close()
	h, err := handler(m, adminKey, log)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stop := exports.deliver(m, x, log)
	defer stop()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// Requests that run may finish; the store is closed after them.
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return m.Audit().Flush(grace)
}

// manager is the service, with checkpoints where there is a key. Secrets of organizations are taken where there is a
// key to seal them with. The exporter delivers its audit logs.
func manager(s *store.Store, auditKey string, exports exportFlags, log *slog.Logger) (*orgs.Manager, *export.Exporter, error) {
	o := &orgs.Options{Options: rbac.Options{Actions: []string{"deployments.manage"}}}
	if auditKey != "" {
		signer, err := note.NewSigner(auditKey)
		if err != nil {
			return nil, nil, errors.New("the audit key is none") // and no error repeats it
		}
		public, err := audit.PublicKey(auditKey)
		if err != nil {
			return nil, nil, err
		}
		o.Audit.Signers, o.Audit.Verifiers = []note.Signer{signer}, []string{public}
	}
	if text := os.Getenv("ORGKIT_SEAL_KEY"); text != "" {
		key, err := seal.ParseKey(text)
		if err != nil {
			return nil, nil, fmt.Errorf("ORGKIT_SEAL_KEY: %w", err)
		}
		if o.Seal, err = seal.New(key); err != nil {
			return nil, nil, err
		}
	}
	guard, err := exports.guard()
	if err != nil {
		return nil, nil, err
	}
	x := exports.exporter(s, guard, o.Seal, log)
	o.URLs, o.Exports = guard, x
	m, err := orgs.New(s, o)
	return m, x, err
}

// handler mounts what there is.
func handler(m *orgs.Manager, adminKey string, log *slog.Logger) (http.Handler, error) {
	native, err := rest.New(m, &rest.Options{AdminKey: adminKey, Logger: log,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", native)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := m.Store().View(r.Context(), func(context.Context, *store.Tx) error { return nil })
		if err != nil {
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux, nil
}
