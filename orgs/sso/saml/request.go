package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"net/url"

	"github.com/beevik/etree"
	xsaml "github.com/crewjam/saml"
)

// MaxRelayState is how many bytes of relay state identity providers have to bring back (SAML bindings §3.4.3). It is a
// random handle, and never data.
const MaxRelayState = 80

// AuthnRequest asks an identity provider to sign somebody in.
type AuthnRequest struct {
	Request
	connection *Connection
	message    xsaml.AuthnRequest
}

// NewRequest makes the request of that id, which is random, and time. It asks for no form of the name: the administrator of
// the identity provider has chosen one, and several refuse any other.
func NewRequest(c *Connection, of Request) (*AuthnRequest, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.SSOURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("saml: the address for requests is not one of https")
	}
	if !ncName.MatchString(of.ID) {
		return nil, errors.New("saml: the id of a request is not one of XML")
	}
	r := &AuthnRequest{connection: c, Request: of}
	r.message = xsaml.AuthnRequest{
		ID: r.ID, Version: "2.0", IssueInstant: of.IssuedAt.UTC(), Destination: c.SSOURL,
		Issuer:                      &xsaml.Issuer{Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:entity", Value: c.EntityID},
		AssertionConsumerServiceURL: c.ACS, ProtocolBinding: xsaml.HTTPPostBinding,
	}
	if c.ForceAuthn {
		r.message.ForceAuthn = &c.ForceAuthn
	}
	return r, nil
}

// Redirect returns the address that takes the request to the identity provider (SAML bindings §3.4). The signer is
// needed where the connection signs requests.
func (r *AuthnRequest) Redirect(relayState string, s *Signer) (string, error) {
	if len(relayState) > MaxRelayState {
		return "", errors.New("saml: the relay state is too long")
	}
	raw, err := bytesOf(r.message.Element())
	if err != nil {
		return "", err
	}
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(raw); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	if r.connection.SignRequests {
		if err := s.Validate(); err != nil {
			return "", err
		}
		query += "&SigAlg=" + url.QueryEscape(rsaSHA256)
		sum, err := s.text(query)
		if err != nil {
			return "", err
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sum))
	}
	u, err := url.Parse(r.message.Destination)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" { // of the identity provider, and not under the signature
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String(), nil
}

// Form returns the value of the field SAMLRequest of a form that is posted to the identity provider (SAML bindings §3.5).
// The signer is needed where the connection signs requests.
func (r *AuthnRequest) Form(s *Signer) (string, error) {
	message := r.message
	if r.connection.SignRequests {
		if err := s.Validate(); err != nil {
			return "", err
		}
		sig, err := s.element(message.Element())
		if err != nil {
			return "", err
		}
		message.Signature = sig
	}
	raw, err := bytesOf(message.Element())
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

func bytesOf(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	return doc.WriteToBytes()
}
