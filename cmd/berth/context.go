package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/berth-dev/berth/apps/appfile"
	"github.com/berth-dev/berth/internal/apiclient"
)

// userConfigFile is what a login keeps, in ~/.config/berth/config.json or where
// BERTH_CONFIG says.
type userConfigFile struct {
	URL    string `json:"url"`
	Token  string `json:"token,omitempty"`
	CAFile string `json:"caFile,omitempty"`
	Tenant string `json:"tenant,omitempty"`
}

// configPath is where the login is kept.
func configPath() (string, error) {
	if path := os.Getenv("BERTH_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding your configuration folder: %w", err)
	}
	return filepath.Join(dir, "berth", "config.json"), nil
}

// loadConfig reads the login; nobody logged in gives an empty one.
func loadConfig() (userConfigFile, error) {
	var conf userConfigFile
	path, err := configPath()
	if err != nil {
		return conf, err
	}
	raw, err := os.ReadFile(path) // the person's own file
	if errors.Is(err, os.ErrNotExist) {
		return conf, nil
	}
	if err != nil {
		return conf, fmt.Errorf("reading your login: %w", err)
	}
	if err := json.Unmarshal(raw, &conf); err != nil {
		return conf, &apiclient.Problem{Detail: "the file " + path + " is damaged: " + err.Error(), Fix: "Log in again with: berth login"}
	}
	return conf, nil
}

// save writes the login where only its owner can read it, whole or not at all.
func (u userConfigFile) save() (string, error) {
	path, err := configPath()
	if err != nil {
		return "", err
	}
	raw, err := json.MarshalIndent(u, "", "  ")
	if err != nil {
		return "", err
	}
	return path, writePrivate(path, append(raw, '\n'))
}

// writePrivate replaces a file that only its owner may read. A link stays a link: it is
// the file behind it that is replaced.
func writePrivate(path string, raw []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if to, err := os.Readlink(path); err == nil { // to a file that is yet to be made
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".berth-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(raw)
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// loginInUse is the login with what the environment says on top. A token is for one
// address: if the environment names another, everything comes from there.
func loginInUse() (userConfigFile, error) {
	conf, err := loadConfig()
	if err != nil {
		return conf, err
	}
	if elsewhere(conf) {
		conf = userConfigFile{URL: os.Getenv("BERTH_URL")}
	}
	conf.Token = cmp.Or(os.Getenv("BERTH_TOKEN"), conf.Token)
	conf.CAFile = cmp.Or(os.Getenv("BERTH_CA_FILE"), conf.CAFile)
	conf.Tenant = cmp.Or(os.Getenv("BERTH_TENANT"), conf.Tenant)
	return conf, nil
}

// elsewhere tells whether the environment names another Berth than the login.
func elsewhere(login userConfigFile) bool {
	address := os.Getenv("BERTH_URL")
	return address != "" && strings.TrimRight(address, "/") != strings.TrimRight(login.URL, "/")
}

// client speaks to the API of the login.
func (c *cli) client() (*apiclient.Client, error) {
	conf, err := loginInUse()
	if err != nil {
		return nil, err
	}
	if conf.URL == "" {
		return nil, &apiclient.Problem{Detail: "you are not logged in", Fix: "Start Berth on this machine with: berth up; or log in with: berth login URL"}
	}
	return conf.client()
}

func (u userConfigFile) client() (*apiclient.Client, error) {
	opts := apiclient.Options{URL: u.URL, Token: u.Token, UserAgent: "berth/" + version()}
	if u.CAFile != "" {
		ca, err := os.ReadFile(u.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate to trust: %w", err)
		}
		opts.CA = ca
	}
	return apiclient.New(opts)
}

// tenantClient is a client and the tenant to work on.
func (c *cli) tenantClient() (*apiclient.Client, string, error) {
	client, err := c.client()
	if err != nil {
		return nil, "", err
	}
	conf, err := loginInUse()
	if err != nil {
		return nil, "", err
	}
	tenant := cmp.Or(c.tenant, conf.Tenant)
	if tenant == "" {
		return nil, "", usage("no tenant was chosen", "Name one with --tenant, or set BERTH_TENANT; see: berth tenants")
	}
	return client, tenant, nil
}

// chosenApp is the app that was named; otherwise an app file names it.
func (c *cli) chosenApp() string { return cmp.Or(c.app, os.Getenv("BERTH_APP")) }

// appClient is a client and the app to work on.
func (c *cli) appClient() (client *apiclient.Client, tenant, app string, err error) {
	client, tenant, err = c.tenantClient()
	if err != nil {
		return nil, "", "", err
	}
	if app = c.chosenApp(); app == "" {
		if app, err = appFileAppName(appfile.Name); err != nil {
			return nil, "", "", err
		}
	}
	if app == "" {
		return nil, "", "", usage("no app was chosen", "Name one with --app, set BERTH_APP, or go to a folder with a berth.yaml; see: berth apps")
	}
	return client, tenant, app, nil
}

// appFileAppName reads only the app's name of an app file, so that a file with a fault
// elsewhere still tells which app is meant. No file is no name.
func appFileAppName(path string) (string, error) {
	raw, err := os.ReadFile(path) // the person's own file
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the app file: %w", err)
	}
	var file struct {
		App string `json:"app"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return "", nil // the commands that need the file say what is wrong with it
	}
	return file.App, nil
}
