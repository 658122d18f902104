package zone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/miekg/dns"

	"github.com/berth-dev/berth/internal/localcluster/reread"
)

// Server answers for the names of one zone file.
type Server struct {
	log *slog.Logger

	mu      sync.Mutex
	file    *reread.File
	records records
}

// New makes a Server of the zone file at path, which need not exist.
func New(path string, log *slog.Logger) *Server {
	return &Server{file: reread.New(path), log: log.With("part", "zone", "file", path)}
}

// Run answers on an address, host:port, by UDP and TCP until ctx ends. An error means
// that it could not begin.
func (s *Server) Run(ctx context.Context, address string) error {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return fmt.Errorf("names of the zone file: %w", err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("names of the zone file: %w", err), packets.Close())
	}
	return s.serve(ctx, packets, listener)
}

// serve answers on two sockets, which it closes.
func (s *Server) serve(ctx context.Context, packets net.PacketConn, listener net.Listener) error {
	s.current() // what is wrong with the file is said at the start
	ended := make(chan error, 2)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: listener, Handler: s}} {
		go func() { ended <- server.ActivateAndServe() }()
	}
	stop := context.AfterFunc(ctx, func() { _, _ = packets.Close(), listener.Close() })
	defer stop()
	err := <-ended
	_, _ = packets.Close(), listener.Close()
	err = errors.Join(err, <-ended)
	if ctx.Err() != nil {
		return nil // the sockets were closed for it
	}
	return err
}

// ServeDNS answers one question.
func (s *Server) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg)
	switch {
	case question.Opcode != dns.OpcodeQuery:
		answer.SetRcode(question, dns.RcodeNotImplemented)
	case len(question.Question) != 1:
		answer.SetRcode(question, dns.RcodeFormatError)
	default:
		answer.SetReply(question)
		s.current().answer(answer, question.Question[0])
	}
	size := dns.MaxMsgSize
	if w.RemoteAddr().Network() == "udp" {
		size = dns.MinMsgSize
		if options := question.IsEdns0(); options != nil {
			size = max(size, int(options.UDPSize()))
			answer.SetEdns0(uint16(size), false)
		}
	}
	answer.Truncate(size)
	if err := w.WriteMsg(answer); err != nil {
		s.log.Debug("an answer was not sent", "error", err)
	}
}

// current are the records of the file as it is now, or as it was last good.
func (s *Server) current() records {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, news, err := s.file.Next()
	if err == nil && news {
		var parsed records
		if parsed, err = parse(data); err == nil {
			s.records = parsed
		}
	}
	if err != nil {
		s.log.Error("the zone file cannot be read; what was read before is served", "error", err)
	}
	return s.records
}
