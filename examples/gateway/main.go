// Command gateway serves every handler that this library has, as a host of its own would.
//
//	go run ./examples/gateway -demo
//	go run ./examples/gateway -addr 127.0.0.1:8080 -db sqlite:orgkit.db -admin-key KEY
//
// The first one needs nothing: it starts a model that only talks, an organization in memory, and prints lines to try.
//
// It delivers audit logs to the destinations of organizations; -allow opens some that are not public, for tests.
// The key that seals secrets of organizations, as from openssl rand -base64 32, is in ORGKIT_SEAL_KEY; without one such
// secrets are refused, and nobody can sign in by a password. With -smtp HOST:PORT it mails, which needs that key too; the password of -smtp-user is in
// ORGKIT_SMTP_PASSWORD. With -upstream and -prices it serves the calls of package proxy as well, in front of services that speak
// OpenAI's or Anthropic's API: those that a team prefers are asked first, and another where one does not answer. Identity providers reach SCIM at
// /scim/v2 below -url, and browsers sign in by them at /sso where there is a key that seals. -saml-key signs the requests of organizations that ask for it. Whom a provider may sign in is
// of the domains that the platform knows to be the organization's: PUT /v1/organizations/{org}/provisioning/verified-domains. Mails, webhooks and what has to be done from time to time are the work of the same process. It
// prints one line, "listening on http://HOST:PORT", on standard output when it is ready, trusts loopback for
// X-Forwarded-For, and ends cleanly on SIGTERM and SIGINT: calls that run have 20 seconds, streams that run longer are cut, and
// what all of them have used is settled. With -pprof it serves profiles at another address.
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
	"net/http/pprof"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/examples/internal/opendb"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/httpapi/pages"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/orgs/sso/saml"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	db := flag.String("db", "sqlite:orgkit.db", "memory:, sqlite:PATH or postgres://…")
	key := flag.String("admin-key", "", "bearer token of the platform's operator; empty makes one and prints it")
	auditKey := flag.String("audit-key", "", "secret key that signs checkpoints of the audit log; empty: none are signed. -audit-key=new makes one, prints it and ends")
	public := flag.String("url", "", "where clients reach this gateway, as https://gateway.example or, behind a proxy that takes the path away or not, https://example.org/gateway; "+
		"empty is the address that it listens on")
	o := options{mail: mailFlags(), exports: newExportFlags(flag.CommandLine), upstream: upstreamFlags()}
	flag.StringVar(&o.samlKey, "saml-key", "", "file with an RSA key and its certificate, in PEM, by which requests to the identity providers of organizations that ask for it are signed")
	flag.BoolVar(&o.demo, "demo", false, "try it: in memory, with a model that only talks")
	flag.StringVar(&o.journal, "journal", "", "directory on a local disk, of the processes that share the database, from which what a killed one had of budgets is given back; "+
		"empty: beside an SQLite database, and none for others")
	flag.StringVar(&o.pprof, "pprof", "", "address for net/http/pprof, which is for nobody else: as 127.0.0.1:6060")
	flag.BoolVar(&o.logRequests, "log-requests", false, "log every request, by its id")
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
	o.addr, o.db, o.adminKey, o.auditKey, o.url = *addr, *db, *key, *auditKey, *public
	if err := run(ctx, os.Stdout, os.Stderr, o); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	addr, db, adminKey, auditKey, pprof, journal, url, samlKey string
	demo, logRequests                                          bool

	mail     *mailing
	exports  exportFlags
	upstream *upstreams
}

func run(ctx context.Context, out, messages io.Writer, o options) error {
	if o.adminKey == "" {
		o.adminKey = "ok_admin_" + rand.Text()
		fmt.Fprintln(messages, "admin key:", o.adminKey)
	}
	var try *demo
	if o.demo {
		var err error
		if try, err = newDemo(ctx, &o); err != nil {
			return err
		}
		defer try.upstream.Close()
	}
	s, err := opendb.Open(ctx, o.db)
	if err != nil {
		return err
	}
	defer s.Close()
	log := slog.New(slog.NewTextHandler(messages, nil))
	parts, err := newParts(s, o, log)
	if err != nil {
		return err
	}
	defer parts.Close()
	finish, err := work(ctx, parts, o.exports, log)
	if err != nil {
		return err
	}
	defer finish() // before the store is closed
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	if o.url = strings.TrimRight(o.url, "/"); o.url == "" {
		o.url = "http://" + listener.Addr().String()
	}
	h, err := handler(parts, o, log)
	if err == nil && try != nil {
		err = try.seed(ctx, parts.Manager)
	}
	if err != nil {
		listener.Close()
		return err
	}
	if o.pprof != "" {
		profiles, err := profile(ctx, o.pprof)
		if err != nil {
			listener.Close()
			return err
		}
		defer profiles.Close()
	}
	if o.logRequests {
		h = logRequests(log, h)
	}
	var running sync.WaitGroup
	server := &http.Server{Handler: inFlight(&running, h), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	if try != nil {
		try.print(out, o.url)
	}

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// Requests that run may finish; the store is closed after them.
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := drain(grace, server, &running); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := finish(); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return parts.Audit().Flush(last)
}

// profile serves profiles, apart from everything else.
func profile(ctx context.Context, addr string) (*http.Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	return server, nil
}

// parts are what a host has made of the library.
type parts struct {
	*orgs.Manager
	sealer   *seal.Sealer // nil where there is no key
	notifier *notify.Notifier
	exporter *export.Exporter
	guard    *outbound.Guard
	signer   *saml.Signer // nil where there is none
}

// newParts makes the service, with checkpoints where there is a key, who delivers its notifications and who its audit
// logs. Secrets of organizations are taken where there is a key to seal them with.
func newParts(s *store.Store, flags options, log *slog.Logger) (p parts, err error) {
	// Clients of LiteLLM have administrators put people into their organization.
	o := &orgs.Options{Options: rbac.Options{Actions: []string{"deployments.manage"}}, Enlisting: true}
	if o.Catalogue, err = flags.upstream.catalogue(); err != nil {
		return p, err
	}
	if o.Billing.Journal, err = flags.openJournal(); err != nil {
		return p, err
	}
	if flags.auditKey != "" {
		signer, err := note.NewSigner(flags.auditKey)
		if err != nil {
			return p, errors.New("the audit key is none") // and no error repeats it
		}
		public, err := audit.PublicKey(flags.auditKey)
		if err != nil {
			return p, err
		}
		o.Audit.Signers, o.Audit.Verifiers = []note.Signer{signer}, []string{public}
	}
	if text := os.Getenv("ORGKIT_SEAL_KEY"); text != "" {
		key, err := seal.ParseKey(text)
		if err != nil {
			return p, fmt.Errorf("ORGKIT_SEAL_KEY: %w", err)
		}
		if o.Seal, err = seal.New(key); err != nil {
			return p, err
		}
		p.sealer, o.Audit.Seal = o.Seal, o.Seal
	}
	if p.signer, err = readSigner(flags.samlKey); err != nil {
		return p, err
	}
	o.SignsRequests = p.signer != nil
	guard, err := flags.exports.guard()
	if err != nil {
		return p, err
	}
	o.URLs, p.guard = guard, guard
	if p.notifier, err = flags.mail.notifier(o.Seal, guard); err != nil {
		return p, err
	}
	p.exporter = flags.exports.exporter(s, guard, o.Seal, log)
	o.Notifier, o.Exports = p.notifier, p.exporter
	p.Manager, err = orgs.New(s, o)
	return p, err
}

// openJournal opens the journal of budgets, nil where there is to be none.
func (o *options) openJournal() (*billing.Journal, error) {
	dir := o.journal
	if path, isFile := strings.CutPrefix(o.db, "sqlite:"); isFile && dir == "" {
		dir = path + "-journals"
	}
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j, err := billing.OpenJournal(dir)
	if errors.Is(err, billing.ErrNoJournal) && o.journal == "" {
		return nil, nil
	}
	return j, err
}

// issuer is who authenticators say that a code is for.
const issuer = "orgkit gateway"

// nativeHandler is the native dialect. Where there is a key that second factors are sealed with, the paths by which people
// sign in are before it, and the pages that mailed links lead to.
func nativeHandler(p parts, o options, trusted []netip.Prefix, log *slog.Logger) (http.Handler, error) {
	auth, err := sessions.Cookie(p.Manager, httpapi.Bearer(p.Manager, o.adminKey))
	if err != nil {
		return nil, err
	}
	options := &rest.Options{Authenticate: auth, Logger: log, TrustedProxies: trusted}
	if p.sealer.Ready() {
		options.Others, options.SSOURL = sessions.Operations(), o.url+"/sso"
	}
	native, err := rest.New(p.Manager, options)
	if err != nil || !p.sealer.Ready() {
		return native, err
	}
	service, err := signin.New(p.Manager, &signin.Options{Seal: p.sealer, Issuer: issuer})
	if err != nil {
		return nil, err
	}
	entrance, err := sessions.New(service, native, &sessions.Options{Authenticate: auth, Logger: log, TrustedProxies: trusted})
	if err != nil {
		return nil, err
	}
	return pages.New(entrance, nil)
}

// mountDialects mounts those of other systems, each at its own paths. Passwords may be as short as the one of OpenGateLLM takes
// them.
func mountDialects(mux *http.ServeMux, p parts, o options, trusted []netip.Prefix, log *slog.Logger) error {
	tree, err := locktera.New(p.Manager, &locktera.Options{AdminKey: o.adminKey, PublicURL: o.url, TrustedProxies: trusted, Logger: log})
	if err != nil {
		return err
	}
	for _, path := range []string{"/orgs", "/orgs/", "/org"} {
		mux.Handle(path, tree)
	}
	flat := &opengatellm.Options{AdminKey: o.adminKey, TrustedProxies: trusted, Logger: log}
	if p.sealer.Ready() {
		if flat.SignIn, err = signin.New(p.Manager, &signin.Options{Seal: p.sealer, Issuer: issuer, MinPassword: 6}); err != nil {
			return err
		}
	}
	admin, err := opengatellm.New(p.Manager, flat)
	if err != nil {
		return err
	}
	for _, path := range opengatellm.Paths() {
		mux.Handle(path, admin)
	}
	compatible, err := litellm.New(p.Manager, &litellm.Options{AdminKey: o.adminKey, TrustedProxies: trusted, Logger: log})
	if err != nil {
		return err
	}
	for _, path := range litellm.Paths() {
		mux.Handle(path, compatible)
	}
	return nil
}

// handler mounts what there is.
func handler(p parts, o options, log *slog.Logger) (http.Handler, error) {
	m, trusted := p.Manager, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	native, err := nativeHandler(p, o, trusted, log)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	directory, err := scim.New(m, o.url+"/scim/v2", &scim.Options{HTTP: &httpapi.Options{TrustedProxies: trusted, Fail: func(r *http.Request, err error) {
		log.ErrorContext(r.Context(), "provisioning failed", "error", err)
	}}})
	if err != nil {
		return nil, err
	}
	mux.Handle("/scim/v2/", http.StripPrefix("/scim/v2", directory))
	if p.sealer.Ready() {
		browsers, err := singleSignOn(p, o, trusted, log)
		if err != nil {
			return nil, err
		}
		mux.Handle("/sso/", above(o.url, browsers))
	}
	if o.upstream != nil && len(o.upstream.list) > 0 {
		edge := httpapi.Options{TrustedProxies: trusted, Fail: func(r *http.Request, err error) {
			log.ErrorContext(r.Context(), "call failed", "request_id", httpapi.RequestID(r.Context()), "error", err)
		}}
		refusals := map[string]proxy.Refusal{ // clients of other systems hear what they know
			litellm.Dialect:     litellm.Refusals(m, &litellm.Options{Logger: log}),
			opengatellm.Dialect: opengatellm.Refusals(nil),
		}
		plane, err := o.upstream.dataPlane(gate.New(m), edge, refusals, log)
		if err != nil {
			return nil, err
		}
		for _, path := range proxy.Paths() {
			mux.Handle("/v1/"+path, plane)
		}
	}
	if err := mountDialects(mux, p, o, trusted, log); err != nil {
		return nil, err
	}
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
	return below(o.url, mux), nil
}
