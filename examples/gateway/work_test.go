package main

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
)

// inbox is a mail server that takes everything.
type inbox chan string

func (in inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return in, nil }
func (in inbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (in inbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (in inbox) Reset()                                      {}
func (in inbox) Logout() error                               { return nil }
func (in inbox) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	in <- string(b)
	return err
}

func TestGatewayMailsInvitations(t *testing.T) { // F117, F466
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	in := make(inbox, 10)
	server := smtp.NewServer(in)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go server.Serve(l)
	defer server.Close()
	p := start(t, "sqlite:"+filepath.Join(t.TempDir(), "g.db"), "-smtp", l.Addr().String(), "-smtp-plain", "-mail-from", "AI <no-reply@ai.example>", "-base-url", "https://ai.example")
	status, org, err := p.call("POST", "/v1/organizations", `{"name": "Acme"}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	status, inv, err := p.call("POST", "/v1/organizations/"+org["id"].(string)+"/invitations", `{"email": "new@acme.example", "role": "member"}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	require.Equal(t, true, inv["email_sent"])
	require.NotContains(t, inv, "token")
	select {
	case mail := <-in:
		mail = strings.ReplaceAll(mail, "=\r\n", "")
		require.Contains(t, mail, "To: <new@acme.example>")
		require.Contains(t, mail, "https://ai.example/invitations/accept#token=3Dok_inv_")
	case <-time.After(30 * time.Second):
		t.Fatal("there is no mail")
	}
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.log)
	require.Empty(t, p.log.String())
}

func TestGatewayRefusesMailThatCannotBe(t *testing.T) {
	path, err := build()
	require.NoError(t, err)
	for _, args := range [][]string{{"-smtp", "127.0.0.1:25"}, {"-smtp", "nowhere"}, {"-smtp", "mail.example:25", "-smtp-plain"}, {"-smtp", "127.0.0.1:25", "-mail-from", "nobody"}} {
		out, err := exec.Command(path, append([]string{"-addr", "127.0.0.1:0", "-db", "memory:"}, args...)...).CombinedOutput()
		require.Error(t, err, "without a key, or otherwise wrong: %v", args)
		require.Contains(t, string(out), "gateway: ")
	}
}
