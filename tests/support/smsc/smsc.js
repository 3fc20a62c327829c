'use strict';
// An SMSC for tests. It speaks SMPP through node-smpp, and it is as difficult as it is told to be:
// by its options (one JSON object as the first argument), by words in the messages, and by commands
// (one JSON object per line on stdin). It prints {"port": N} when it listens, and ends with stdin.
//
// Options:
//   port, host         where to listen (0 is any port)
//   journal            the file for what happened, one JSON object per line (see `note`)
//   system_id, password    what a bind has to say; anything goes without them
//   bind_status        refuse every bind with this status
//   binds              how an ESME may bind, {"bind_receiver": 2}: the most at a time of each; others
//                      are refused with 0x04, and too many with 0x0D. Without it: as it wants
//   latency            ms before an answer
//   receipt_latency    ms between an answer and its receipt
//   receipt_spread     ms, up to so many of which are added to that at random
//   receipt_retry      ms before a receipt that was refused for now is offered again
//   receipt_window     how many receipts are under way at once; 0 keeps them all
//   receipts           false: none at all
//   throttle_over      more parts than this in any second are throttled
//   enquire_link       false: never answer it
//   unbind             false: never answer it
//   durable            true: take the journal for a disk, and go on where the last process ended
//   magic              words for every message, in addition to its own
//   tls                {key, cert}: file names
//
// Words in a message (of a long one: in the part that is meant). Most take a number, "#silent:2":
// the first so many times that this part comes for this number; without one it is every time.
const WORDS = {
  throttled: 'answers 0x58',
  'queue-full': 'answers 0x14',
  'invalid-destination': 'answers 0x0B',
  'system-error': 'answers 0x08',
  vendor: 'answers 0x4FF, a status of its vendor',
  nack: 'answers with generic_nack 0x03',
  'nack-0': 'sends generic_nack with sequence number 0 and no answer',
  silent: 'never answers; the message is taken all the same',
  held: 'answers when it is told to: the command "release"',
  drop: 'takes the message and drops the connection without an answer',
  unbind: 'sends unbind before the answer',
  'wrong-sequence': 'sends an answer to a sequence number never used before the right one',
  truncated: 'sends a PDU of 5 octets instead of the answer',
  oversized: 'sends a command_length of 2 GB instead of the answer',
  'unknown-tlv': 'adds optional parameters that nobody knows to answer and receipt',
  mo: 'sends a message of its own before the answer',
};
const WORDS_WITH_A_VALUE = {
  late: 'answers after so many ms',
  ahead: 'answers so many ms after it has sent the receipt',
  stat: 'the stat of the receipt (UNDELIV, EXPIRED, ...)',
};
const WORDS_FOR_THE_RECEIPT = {
  'no-receipt': 'sends none',
  twice: 'sends it twice',
  before: 'sends it before the answer',
  'tlv-only': 'says all in optional parameters: no text, no esm_class',
  seconds: 'has seconds in its dates, and err:00B',
  decimal: 'has the id in decimal; the answer has hexadecimal with leading zeros',
};

const fs = require('node:fs');
const readline = require('node:readline');
const smpp = require('smpp');

const options = {
  port: 0,
  host: '127.0.0.1',
  latency: 0,
  receipt_latency: 0,
  receipt_spread: 0,
  receipt_retry: 200,
  receipt_window: 100,
  receipts: true,
  enquire_link: true,
  unbind: true,
  magic: '',
  ...JSON.parse(process.argv[2] || '{}'),
};

// The journal: {event: "bind" | "submit" | "receipt" | "enquire_link" | "generic_nack" | "unbind" |
// "answer" | "close", connection, ...}, in the order in which it happened. A line is in the file
// before the peer can know of what it says.

const journal = options.journal ? fs.openSync(options.journal, 'a+') : null;
let lines = [];

function note(event, connection, facts) {
  if (journal === null) return;
  if (lines.push(JSON.stringify({ event, connection, ...facts })) === 1) setImmediate(writeJournal);
}

function writeJournal() {
  if (lines.length) fs.writeSync(journal, lines.join('\n') + '\n');
  lines = [];
}

// What a submit_sm says.

function textOf(pdu) {
  const carried = pdu.short_message.message.length ? pdu.short_message : pdu.message_payload;
  const message = carried ? carried.message : '';
  return Buffer.isBuffer(message) ? message.toString('hex') : message;
}

function concatenationOf(pdu) {
  for (const element of pdu.short_message.udh || []) {
    if (element[0] === 0) return { reference: element[2], parts: element[3], part: element[4] };
    if (element[0] === 8) return { reference: element.readUInt16BE(2), parts: element[4], part: element[5] };
  }
  if (pdu.sar_msg_ref_num !== undefined) {
    return { reference: pdu.sar_msg_ref_num, parts: pdu.sar_total_segments, part: pdu.sar_segment_seqnum };
  }
  return { reference: 0, parts: 1, part: 1 };
}

const seen = new Map();

function wordsOf(text, key) {
  const words = {};
  for (const [whole, name, value] of (options.magic + ' ' + text).matchAll(/#([a-z0-9-]+)(?::(\w+))?/g)) {
    if (name in WORDS_WITH_A_VALUE) {
      words[name] = value;
    } else if (name in WORDS || name in WORDS_FOR_THE_RECEIPT) {
      const times = (seen.get(key + whole) || 0) + 1;
      seen.set(key + whole, times);
      words[name] = value === undefined || times <= Number(value);
    }
  }
  return words;
}

// Ids never come twice, not even after a restart: hexadecimal, with leading zeros.

let lastId = Date.now() * 1000;
const hex = (id) => id.toString(16).toUpperCase().padStart(16, '0');

// What goes to an ESME: receipts and messages, kept until they are accepted. A system_id has one
// queue, whichever connection it binds next.

class Outbox {
  constructor() {
    this.waiting = [];
    this.sessions = new Set();
  }

  push(item) {
    this.waiting.push(item);
    this.send();
  }

  send() {
    for (const session of this.sessions) {
      while (this.waiting.length && session.underWay.size < options.receipt_window) {
        this.offer(session, this.waiting.shift());
      }
    }
  }

  offer(session, item) {
    item.attempt = (item.attempt || 0) + 1;
    session.underWay.add(item);
    session.write(item.command || 'deliver_sm', { ...item.pdu }, (response) => {
      if (!session.underWay.delete(item)) return;
      const status = response.command_status;
      note('receipt', session.number, { ...item.facts, status, attempt: item.attempt });
      if ([0x08, 0x14, 0x58, 0x64].includes(status)) {
        setTimeout(() => this.push(item), options.receipt_retry);
      }
      this.send();
    });
  }
}

const outboxes = new Map();

function outboxOf(systemId) {
  if (!outboxes.has(systemId)) outboxes.set(systemId, new Outbox());
  return outboxes.get(systemId);
}

const UNKNOWN_TLVS = Buffer.from('14010003616263' + '3fff0000' + '0030' + '000101', 'hex');

const STATES = { ENROUTE: 1, DELIVRD: 2, EXPIRED: 3, DELETED: 4, UNDELIV: 5, ACCEPTD: 6, UNKNOWN: 7, REJECTD: 8 };

function receiptFor(pdu, id, words) {
  const stat = words.stat || 'DELIVRD';
  const state = STATES[stat];
  const receipted = words.decimal ? String(id) : hex(id);
  const receipt = {
    source_addr_ton: pdu.dest_addr_ton,
    source_addr_npi: pdu.dest_addr_npi,
    source_addr: pdu.destination_addr,
    dest_addr_ton: pdu.source_addr_ton,
    dest_addr_npi: pdu.source_addr_npi,
    destination_addr: pdu.source_addr,
  };
  if (words['tlv-only']) {
    receipt.receipted_message_id = receipted;
    receipt.message_state = state;
    receipt.network_error_code = Buffer.from([3, 0, 0]);
  } else {
    const date = new Date().toISOString().replace(/\D/g, '').slice(2, words.seconds ? 14 : 12);
    const error = words.seconds ? '00B' : state === 2 ? '000' : '001';
    const delivered = state === 2 ? '001' : '000';
    receipt.esm_class = 0x04;
    receipt.short_message = Buffer.from(
      `id:${receipted} sub:001 dlvrd:${delivered} submit date:${date} done date:${date} ` +
        `stat:${stat} err:${error} text:`, 'latin1');
  }
  return { pdu: receipt, tlvs: words['unknown-tlv'], facts: { id: hex(id), receipted, stat } };
}

function receiptsFor(pdu, id, words) {
  if (!options.receipts || !(pdu.registered_delivery & 1) || words['no-receipt']) return [];
  const receipt = receiptFor(pdu, id, words);
  return words.twice ? [receipt, { ...receipt }] : [receipt];
}

// What the last process had taken and not told of yet, by its journal.

function goOn() {
  const lines = fs.readFileSync(options.journal, 'utf8').split('\n');
  // What the last line was to say when the process was killed, nobody had heard of.
  const torn = Buffer.byteLength(lines.pop());
  if (torn) fs.ftruncateSync(journal, fs.fstatSync(journal).size - torn);
  const open = new Map();
  for (const line of lines) {
    const { event, status, id, ...submit } = JSON.parse(line);
    if (status) continue;
    if (event === 'submit') open.set(id, submit);
    else if (event === 'receipt') open.delete(id);
  }
  for (const [id, submit] of open) {
    const pdu = {
      registered_delivery: submit.registered_delivery,
      source_addr: submit.source,
      source_addr_ton: submit.source_ton,
      source_addr_npi: submit.source_npi,
      destination_addr: submit.destination,
      dest_addr_ton: submit.destination_ton,
      dest_addr_npi: submit.destination_npi,
    };
    const words = wordsOf(submit.text, `${submit.destination} ${submit.part} ${submit.text} `);
    for (const { pdu: fields, tlvs, facts } of receiptsFor(pdu, BigInt(`0x${id}`), words)) {
      outboxOf(submit.system_id).waiting.push({ pdu: { ...fields, tlvs }, facts });
    }
  }
}

// One connection.

class Connection {
  constructor(session, number) {
    this.session = session;
    this.socket = session.socket;
    this.number = number;
    this.underWay = new Set();
    this.outbox = null;
    // When the parts of the last second were taken.
    this.taken = [];
    this.socket.setNoDelay(true);
    // Errors of a connection are events of the test, not of this process.
    session.on('error', (error) => note('error', number, { code: error.code || error.message }));
    session.on('close', () => this.closed());
    for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
      session.on(kind, (pdu) => this.bind(pdu));
    }
    session.on('submit_sm', (pdu) => this.submitted(pdu));
    session.on('enquire_link', (pdu) => {
      note('enquire_link', number, { answered: options.enquire_link });
      if (options.enquire_link) this.reply(pdu);
    });
    session.on('unbind', (pdu) => {
      note('unbind', number, {});
      if (!options.unbind) return;
      this.reply(pdu);
      this.close();
    });
    session.on('unbind_resp', () => {
      note('answer', number, { to: 'unbind' });
      this.close();
    });
    session.on('generic_nack', (pdu) =>
      note('generic_nack', number, { status: pdu.command_status, sequence: pdu.sequence_number }));
  }

  // PDUs of one turn of the event loop leave together.
  cork() {
    if (this.corked) return;
    this.corked = true;
    this.socket.cork();
    setImmediate(() => {
      this.corked = false;
      // What is answered now may have come after the journal was to be written.
      writeJournal();
      this.socket.uncork();
    });
  }

  write(command, fields, callback) {
    this.cork();
    const { tlvs, ...rest } = fields;
    const pdu = new smpp.PDU(command, rest);
    if (callback) {
      pdu.sequence_number = this.session.sequence = (this.session.sequence % 0x7fffffff) + 1;
      this.session._callbacks[pdu.sequence_number] = callback;
    }
    let octets = pdu.toBuffer();
    if (tlvs) {
      octets = Buffer.concat([octets, UNKNOWN_TLVS]);
      octets.writeUInt32BE(octets.length, 0);
    }
    this.socket.write(octets);
  }

  // What goes past the cork goes at once.
  writeRaw(octets) {
    writeJournal();
    this.socket.write(octets);
  }

  close() {
    writeJournal();
    this.session.close();
  }

  destroy() {
    writeJournal();
    this.socket.destroy();
  }

  reply(pdu, fields = {}) {
    this.write(pdu.command + '_resp', { ...fields, sequence_number: pdu.sequence_number });
  }

  bind(pdu) {
    let status = options.bind_status || 0;
    if (options.system_id !== undefined && options.system_id !== pdu.system_id) status = 0x0f;
    else if (options.password !== undefined && options.password !== pdu.password) status = 0x0e;
    const { command, system_id, system_type, interface_version, address_range } = pdu;
    if (options.binds && !status) {
      const most = options.binds[command];
      const there = [...connections].filter((each) => each.kind === command && each.system_id === system_id);
      if (most === undefined) status = 0x04;
      else if (there.length >= most) status = 0x0d;
    }
    note('bind', this.number, { command, system_id, system_type, interface_version, address_range, status, from: this.socket.remoteAddress });
    this.reply(pdu, status ? { command_status: status } : { system_id: 'smsc', sc_interface_version: interface_version });
    if (status) return;
    this.kind = command;
    this.system_id = system_id;
    this.outbox = outboxOf(system_id);
    // A transmitter is told nothing.
    if (command === 'bind_transmitter') return;
    this.outbox.sessions.add(this);
    this.outbox.send();
  }

  closed() {
    note('close', this.number, {});
    connections.delete(this);
    if (!this.outbox) return;
    this.outbox.sessions.delete(this);
    // What was not answered is offered again on the next connection.
    this.outbox.waiting.unshift(...this.underWay);
    this.underWay.clear();
    this.outbox.send();
  }

  throttled() {
    if (options.throttle_over === undefined) return false;
    const now = Date.now();
    while (this.taken.length && this.taken[0] <= now - 1000) this.taken.shift();
    if (this.taken.length >= options.throttle_over) return true;
    this.taken.push(now);
    return false;
  }

  submitted(pdu) {
    const text = textOf(pdu);
    const concatenation = concatenationOf(pdu);
    const words = wordsOf(text, `${pdu.destination_addr} ${concatenation.part} ${text} `);
    const status = this.statusFor(words);
    const id = status ? 0 : ++lastId;
    note('submit', this.number, {
      sequence: pdu.sequence_number,
      source: pdu.source_addr,
      source_ton: pdu.source_addr_ton,
      source_npi: pdu.source_addr_npi,
      destination: pdu.destination_addr,
      destination_ton: pdu.dest_addr_ton,
      destination_npi: pdu.dest_addr_npi,
      ...concatenation,
      text,
      data_coding: pdu.data_coding,
      system_id: this.system_id,
      esm_class: pdu.esm_class,
      registered_delivery: pdu.registered_delivery,
      service_type: pdu.service_type,
      protocol_id: pdu.protocol_id,
      priority_flag: pdu.priority_flag,
      dest_addr_subunit: pdu.dest_addr_subunit,
      validity: pdu.validity_period,
      id: id ? hex(id) : '',
      status,
      at: Date.now(),
    });
    if (words.ahead && !status) this.sendReceipts(receiptsFor(pdu, id, words));
    if (words.held) {
      held.push(() => this.answer(pdu, words, status, id));
      return;
    }
    const delay = Number(words.late || words.ahead || options.latency);
    if (delay) setTimeout(() => this.answer(pdu, words, status, id), delay);
    else this.answer(pdu, words, status, id);
  }

  statusFor(words) {
    if (!this.outbox || this.kind === 'bind_receiver') return 0x04;
    if (words.throttled || this.throttled()) return 0x58;
    if (words['queue-full']) return 0x14;
    if (words['invalid-destination']) return 0x0b;
    if (words['system-error']) return 0x08;
    if (words.vendor) return 0x4ff;
    if (words.nack || words['nack-0']) return 0x03;
    return 0;
  }

  answer(pdu, words, status, id) {
    const sequence_number = pdu.sequence_number;
    const receipts = status || words.ahead ? [] : receiptsFor(pdu, id, words);
    if (words.before) this.sendReceipts(receipts.splice(0));
    if (words.mo) this.outbox.push(messageTo(pdu.source_addr));
    if (words.unbind) this.write('unbind', {}, () => {});
    if (words['wrong-sequence']) {
      this.write('submit_sm_resp', { message_id: 'NEVER', sequence_number: sequence_number + 100000 });
    }
    if (words.nack) {
      this.write('generic_nack', { command_status: status, sequence_number });
    } else if (words['nack-0']) {
      this.write('generic_nack', { command_status: status, sequence_number: 0 });
    } else if (words.truncated) {
      this.writeRaw(Buffer.from('0000000580', 'hex'));
    } else if (words.oversized) {
      this.writeRaw(Buffer.from('7fffffff800000040000000000000001', 'hex'));
    } else if (words.drop) {
      this.destroy();
    } else if (!words.silent) {
      const fields = status ? { command_status: status } : { message_id: hex(id) };
      this.reply(pdu, { ...fields, tlvs: words['unknown-tlv'] });
    }
    const delay = options.receipt_latency + Math.random() * options.receipt_spread;
    if (receipts.length) setTimeout(() => this.sendReceipts(receipts), delay);
  }

  sendReceipts(receipts) {
    for (const { pdu, tlvs, facts } of receipts) this.outbox.push({ pdu: { ...pdu, tlvs }, facts });
  }
}

function messageTo(destination) {
  const pdu = {
    source_addr_ton: 1,
    source_addr_npi: 1,
    source_addr: '32494999999',
    destination_addr: destination,
    short_message: 'Hello from a handset',
  };
  return { pdu, facts: { stat: 'MO' } };
}

// Commands. Values such as {"hex": "0400"} are octets.

const octets = (value) => (value && value.hex !== undefined ? Buffer.from(value.hex, 'hex') : value);

// The connections that bound so ("bind_receiver"), or all.
const of = (kind) => [...connections].filter((each) => kind === undefined || each.kind === kind);

const COMMANDS = {
  // {"do": "offer", "command": "deliver_sm" | "data_sm", "pdu": {...}, "facts": {...}}: to every
  // system_id, now or when it binds next.
  offer({ command, pdu, facts }) {
    const fields = Object.fromEntries(Object.entries(pdu).map(([name, value]) => [name, octets(value)]));
    for (const outbox of outboxes.values()) outbox.push({ command, pdu: fields, facts });
  },
  // {"do": "write", "command": "unbind" | "alert_notification" | ..., "pdu": {...}}: as it is.
  write({ command, pdu, kind }) {
    for (const connection of of(kind)) connection.write(command, { ...pdu }, () => {});
  },
  raw({ hex: digits }) {
    for (const connection of connections) connection.writeRaw(Buffer.from(digits, 'hex'));
  },
  drop({ kind }) {
    for (const connection of of(kind)) connection.destroy();
  },
  // {"do": "release"}: what it holds is answered.
  release() {
    for (const answer of held.splice(0)) answer();
  },
  set({ options: changed }) {
    Object.assign(options, changed);
    for (const outbox of outboxes.values()) outbox.send();
  },
};

const connections = new Set();
const held = [];
let count = 0;
if (options.durable) goOn();

const tls = options.tls && {
  key: fs.readFileSync(options.tls.key),
  cert: fs.readFileSync(options.tls.cert),
};
const server = smpp.createServer(tls || {}, (session) => connections.add(new Connection(session, ++count)));
server.listen(options.port, options.host, () => {
  process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n');
});

const commands = readline.createInterface({ input: process.stdin });
commands.on('line', (line) => {
  const command = JSON.parse(line);
  COMMANDS[command.do](command);
  process.stdout.write('{}\n');
});
commands.on('close', () => {
  writeJournal();
  process.exit(0);
});
