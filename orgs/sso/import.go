package sso

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// Importer is a protocol that reads what identity providers publish of themselves.
type Importer interface {
	Protocol
	// Import reads a document. What is wrong with it is a *store.FieldError.
	Import(document []byte) (orgs.SSODocument, error)
}

const (
	maxDocument = 2 << 20 // of the body that brings one
	documentFor = 5 * time.Second
)

// importedView is a part of a configuration, as the native dialect takes it, and who signs by it.
type importedView struct {
	Protocol     string            `json:"protocol"`
	Settings     importedSettings  `json:"settings"`
	Certificates []certificateView `json:"certificates"`
}

type importedSettings struct {
	Issuer       string   `json:"issuer"`
	URL          string   `json:"sso_url"`
	Certs        []string `json:"x509_cert"`
	SignRequests bool     `json:"sign_requests"`
}

type certificateView struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint_sha256"`
	NotBefore   string `json:"not_before"`
	NotAfter    string `json:"not_after"`
}

// imported answers with what a document says that is pasted or that is at a URL. Nothing of it is kept.
func (h *handler) imported(p Importer) http.Handler {
	return httpapi.Actor(h.opt.Authenticate, h.edge, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := h.importOf(w, r, p)
		if err != nil {
			httpapi.WriteError(w, r, err, h.edge)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		httpapi.WriteJSON(w, http.StatusOK, v)
	}))
}

func (h *handler) importOf(w http.ResponseWriter, r *http.Request, p Importer) (v importedView, err error) {
	id, err := h.mayUpdate(r)
	if err != nil {
		return v, err
	}
	if err := h.slow(r, "import "+id); err != nil {
		return v, err
	}
	body, err := httpapi.ReadObject(w, r, maxDocument)
	if err != nil {
		return v, err
	}
	document, err := h.document(r.Context(), body)
	if err != nil {
		return v, err
	}
	d, err := p.Import(document)
	if err != nil {
		return v, err
	}
	v = importedView{Protocol: p.Name(), Settings: importedSettings{Issuer: d.Issuer, URL: d.URL, SignRequests: d.WantsSigned}}
	for _, c := range d.Certificates {
		v.Settings.Certs = append(v.Settings.Certs, c.PEM)
		v.Certificates = append(v.Certificates, certificateView{c.Subject.String(), c.Fingerprint, httpapi.Stamp(c.NotBefore), httpapi.Stamp(c.NotAfter)})
	}
	return v, nil
}

// document is the one that the body has, or names.
func (h *handler) document(ctx context.Context, body map[string]json.RawMessage) ([]byte, error) {
	text := map[string]string{}
	for name, raw := range body {
		if name != "document" && name != "url" {
			return nil, store.Invalid("", "unknown", "has a field beside document and url")
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return nil, store.Invalid(name, "type", "must be a text")
		}
		if s != "" {
			text[name] = s
		}
	}
	switch {
	case len(text) != 1:
		return nil, store.Invalid("document", "required", "is required, or a url where it is")
	case text["document"] != "":
		return []byte(text["document"]), nil
	case h.documents == nil:
		return nil, store.Invalid("url", "unavailable", "cannot be called by this host: paste the document")
	}
	return h.fetch(ctx, text["url"])
}

// fetch gets a document through the guard of what tenants may have called. What was answered is not repeated.
func (h *handler) fetch(ctx context.Context, from string) ([]byte, error) {
	if err := h.opt.Guard.Check(from); err != nil {
		return nil, store.Invalid("url", "url", "%v", err)
	}
	failed := store.Invalid("url", "unreachable", "did not answer with a document")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, failed
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml, text/xml")
	res, err := h.documents.Do(req)
	if err != nil {
		return nil, failed
	}
	defer res.Body.Close()
	document, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, failed
	}
	return document, nil
}

// client calls the URLs of documents; nil where there is no guard.
func client(g *outbound.Guard) *outbound.Client {
	if g == nil {
		return nil
	}
	return g.Client(&outbound.Limits{Connect: documentFor, Handshake: documentFor, Headers: documentFor, Total: documentFor})
}

// mayUpdate is the id of the organization of the path, of which the caller may change how people sign in.
func (h *handler) mayUpdate(r *http.Request) (id string, err error) {
	if id, err = h.m.OrgID(r.Context(), r.PathValue("org")); err != nil {
		return "", err
	}
	return id, h.m.Read(r.Context(), rbac.Op{Action: "sso.update", OrgID: id}, func(context.Context, *store.Tx) error { return nil })
}
