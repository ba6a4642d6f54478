package main

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"k8s.io/cri-client/pkg/logs"
)

// longestLine is where container runtimes cut a line into parts.
const longestLine = 16 << 10

// logFile is a container's log in the format of container runtimes: `TIME stdout F LINE`.
type logFile struct {
	mutex sync.Mutex
	file  *os.File
}

func createLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return &logFile{file: file}, err
}

func (l *logFile) close() { _ = l.file.Close() }

// stream gives the writer of one output of a process.
func (l *logFile) stream(name string) *logStream { return &logStream{log: l, name: name} }

type logStream struct {
	log     *logFile
	name    string
	pending []byte // the beginning of a line whose end has not come
}

var _ io.Writer = (*logStream)(nil)

func (s *logStream) Write(output []byte) (int, error) {
	s.pending = append(s.pending, output...)
	for {
		line, rest, whole := bytes.Cut(s.pending, []byte("\n"))
		tag := "F"
		if len(line) > longestLine {
			line, rest, tag = s.pending[:longestLine], s.pending[longestLine:], "P"
		} else if !whole {
			return len(output), nil
		}
		if err := s.line(tag, line); err != nil {
			return 0, err
		}
		s.pending = rest
	}
}

// flush writes what a process left without an end of line.
func (s *logStream) flush() {
	if len(s.pending) > 0 {
		_ = s.line("P", s.pending)
		s.pending = nil
	}
}

func (s *logStream) line(tag string, content []byte) error {
	line := time.Now().UTC().AppendFormat(nil, logs.RFC3339NanoFixed)
	line = append(line, " "+s.name+" "+tag+" "...)
	line = append(append(line, content...), '\n')
	s.log.mutex.Lock()
	defer s.log.mutex.Unlock()
	_, err := s.log.file.Write(line)
	return err
}
