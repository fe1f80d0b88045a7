'use strict';
// Counts visits in redis. No package is needed: the few words of its protocol are spoken here.

const fs = require('fs');
const http = require('http');
const net = require('net');

const BAD_CONFIGURATION = 78;
const ANSWER_MS = 1000;

function readSettings(path) {
  try {
    const settings = JSON.parse(fs.readFileSync(path, 'utf8'));
    if (!Number.isInteger(settings.port) || !Number.isInteger(settings.redisPort)) {
      throw new Error('port and redisPort must be numbers');
    }
    return settings;
  } catch (error) {
    console.error(`cannot use the settings in ${path}: ${error.message}`);
    process.exit(BAD_CONFIGURATION);
  }
}

// One question, one connection; calls back with the first line of the answer, without its type.
function askRedis(port, words, done) {
  const socket = net.connect({ host: '127.0.0.1', port });
  let text = '';
  let isDone = false;
  const finish = (error, answer) => {
    if (isDone) return;
    isDone = true;
    socket.destroy();
    done(error, answer);
  };
  socket.setTimeout(ANSWER_MS, () => finish(new Error('redis does not answer')));
  socket.on('error', finish);
  socket.on('close', () => finish(new Error('redis closed the connection')));
  socket.on('data', (data) => {
    text += data;
    const end = text.indexOf('\r\n');
    if (end < 0) return;
    if (text[0] === '-') finish(new Error(text.slice(1, end)));
    else finish(null, text.slice(1, end));
  });
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  socket.write(`*${words.length}\r\n${parts.join('')}`);
}

function answer(response, status, body) {
  const text = JSON.stringify(body) + '\n';
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

const settings = readSettings(process.argv[2]);

const server = http.createServer((request, response) => {
  if (request.url === '/health') {
    askRedis(settings.redisPort, ['PING'], (error) => {
      if (error) answer(response, 503, { status: 'DOWN', reason: error.message });
      else answer(response, 200, { status: 'UP' });
    });
  } else if (request.url === '/') {
    askRedis(settings.redisPort, ['INCR', 'visits'], (error, visits) => {
      if (error) return answer(response, 502, { error: error.message });
      const { greeting, instance } = settings;
      answer(response, 200, { greeting, visits: Number(visits), pid: process.pid, instance });
    });
  } else {
    answer(response, 404, { error: `there is no ${request.url}` });
  }
});

server.on('error', (error) => {
  console.error(`cannot listen on port ${settings.port}: ${error.message}`);
  process.exit(1);
});
server.listen(settings.port, '127.0.0.1', () => console.log(`node-service listens on port ${settings.port}`));

// What is being answered is answered; idle connections do not hold up the end.
process.on('SIGTERM', () => {
  console.log('node-service ends');
  server.close(() => process.exit(0));
  if (server.closeIdleConnections) server.closeIdleConnections();
});
