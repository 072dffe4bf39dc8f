package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// gatewayProcess is examples/gateway as a process of its own.
type gatewayProcess struct {
	*exec.Cmd
	url string
	log bytes.Buffer
}

const gatewayAdmin = "key-of-the-bench"

// gatewayPrices are of the models that it serves.
const gatewayPrices = `{"currency": "USD", "models": {
	"gpt-4o": [{"prices": {"input_token": "0.0000025", "output_token": "0.00001"}}],
	"text-embedding-3-small": [{"prices": {"input_token": "0.00000002"}}],
	"dall-e-3": [{"prices": {"image": "0.04", "input_token": "0", "output_token": "0"}}]}}`

// startGateway builds it in a directory and starts it there, in front of an upstream.
func startGateway(ctx context.Context, dir, upstream string, more ...string) (p *gatewayProcess, err error) {
	bin, prices := filepath.Join(dir, "gateway"), filepath.Join(dir, "prices.json")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./examples/gateway")
	build.Dir = filepath.Join("..", "..") // its module
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := os.WriteFile(prices, []byte(gatewayPrices), 0o600); err != nil {
		return nil, err
	}
	p = &gatewayProcess{Cmd: exec.Command(bin, append([]string{"-addr", "127.0.0.1:0", "-db", "sqlite:" + filepath.Join(dir, "gateway.db"), "-admin-key", gatewayAdmin,
		"-prices", prices, "-upstream", upstream + "/v1"}, more...)...)}
	p.Stderr = &p.log
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, is := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !is {
		return nil, errors.Join(fmt.Errorf("the gateway did not start: %s", p.log.String()), err, p.Process.Kill(), p.Wait())
	}
	p.url = url
	return p, nil
}

// stop ends it as an operator does.
func (p *gatewayProcess) stop() error {
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.log.String())
	}
	return nil
}

// call asks the management API.
func (p *gatewayProcess) call(ctx context.Context, method, path, body string) (o map[string]any, err error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+gatewayAdmin)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&o); err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %d %v", method, path, res.StatusCode, o)
	}
	return o, nil
}

// key makes an organization with a team of these settings, and a key of it.
func (p *gatewayProcess) key(ctx context.Context, slug, settings string) (org, secret string, err error) {
	o, err := p.call(ctx, "POST", "/v1/organizations", fmt.Sprintf(`{"name": %q, "slug": %q}`, slug, slug))
	if err != nil {
		return "", "", err
	}
	org, _ = o["id"].(string)
	if o, err = p.call(ctx, "POST", "/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": `+settings+`}`); err != nil {
		return "", "", err
	}
	if o, err = p.call(ctx, "POST", "/v1/api-keys", fmt.Sprintf(`{"name": "k", "team_id": %q, "inherit_team_permissions": true}`, o["id"])); err != nil {
		return "", "", err
	}
	secret, _ = o["key"].(string)
	return org, secret, nil
}
