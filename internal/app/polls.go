package app

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gapura/internal/httpapi"
)

// polls answers requests for the state of a waiting room on their connection; it is a shortcut.
type polls struct {
	api       *httpapi.API
	stopping  *atomic.Bool // then net/http answers, and ends the connection with it
	whole     prometheus.Observer
	unchanged prometheus.Observer
	buffers   sync.Pool
}

func newPolls(api *httpapi.API, t *telemetry, stopping *atomic.Bool) *polls {
	took := func(status int) prometheus.Observer {
		return t.requests.WithLabelValues(httpapi.PollRoute, strconv.Itoa(status))
	}
	return &polls{
		api: api, stopping: stopping, whole: took(http.StatusOK), unchanged: took(http.StatusNotModified),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

func (p *polls) answer(request []byte, conn net.Conn) (bool, error) {
	if p.stopping.Load() {
		return false, nil
	}
	begin := time.Now()
	buffer, ok := p.buffers.Get().(*[]byte)
	if !ok {
		return false, nil // nothing else is put into the pool
	}
	defer p.buffers.Put(buffer)
	answer, status := p.api.AppendPoll((*buffer)[:0], request, begin)
	if status == 0 {
		return false, nil
	}
	*buffer = answer
	_, err := conn.Write(answer)
	if status == http.StatusNotModified {
		p.unchanged.Observe(time.Since(begin).Seconds())
	} else {
		p.whole.Observe(time.Since(begin).Seconds())
	}
	return true, err
}
