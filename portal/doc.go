// Package portal is the platform's front office: the server that people, the CLI
// and integrations speak to.
//
// It owns the HTTP server and its one middleware stack. Below it, api is the JSON
// API version 1 and service what the portal can do; both talk to the management
// cluster and, with a short-lived token, to tenants' clusters. Nothing is kept in
// memory that another replica would miss.
//
// Only cmd/berth-portal may import it.
package portal
