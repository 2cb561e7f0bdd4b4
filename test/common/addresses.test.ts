/** Addresses that a configuration may have, those that it may not, and that every engine takes the same ones. */

import { describe, expect, it } from 'vitest';
import { addressFault, addressText, parseAddress, parseBroker } from '../../src/common/addresses.ts';
import { coreAddress } from '../../targets/native/addresses.ts';
import { parseAddress as nodeAddress } from '../../targets/node/net/streams.ts';

describe('an address', () => {
  it.each([
    ['unix:/run/a.sock', '/run/a.sock'],
    ['tcp:127.0.0.1:7001', '127.0.0.1'],
    ['tcp:localhost:7001', '127.0.0.1'],
    ['tcp:[::1]:7001', '::1'],
    ['tcp:::1:7001', '::1'],
    ['tcp:[2001:db8::192.0.2.1]:1', '2001:db8::192.0.2.1'],
    ['vsock:2:7000', '2'],
    ['vsock:any:7000', 'any'],
  ])('%s is one, on every engine', (address, where) => {
    expect(addressFault(address)).toBeUndefined();
    expect(coreAddress(address).where).toBe(where);
    if (!address.startsWith('vsock'))
      expect(JSON.stringify(nodeAddress(address))).toContain(where === '127.0.0.1' ? '' : where);
  });

  it('of IPv6 goes without its brackets to Node, which would look them up as a name', () => {
    expect(nodeAddress('tcp:[fe80::1%eth0]:7001')).toEqual({
      host: 'fe80::1%eth0',
      port: 7001,
      noDelay: true,
    });
    expect(addressText(parseAddress('tcp:::1:7001') as never)).toBe('tcp:[::1]:7001');
  });

  it.each([
    ['', 'expected unix:/path'],
    ['/run/a.sock', 'expected unix:/path'],
    ['unix:', 'expected the path of a socket'],
    ['unix:run/a.sock', 'relative to where the program happens to be started'],
    ['unix:/run/', 'a folder'],
    ['unix:/run/a\0', 'without a zero byte'],
    [`unix:/${'ä'.repeat(54)}`, 'has 109 bytes'],
    ['vsock-unix:/run/v.sock', 'expected vsock-unix:/path:port'],
    ['vsock-unix:v.sock:1', 'relative to where'],
    [`vsock-unix:/${'v'.repeat(102)}:70000`, 'has 109 bytes'],
    ['vsock-unix:/v:4294967295', 'a port below 4294967295'],
    ['tcp:host', 'expected tcp:host:port'],
    ['tcp::7001', 'expected tcp:host:port'],
    ['tcp:h:0', 'port 0: expected one from 1 to 65535'],
    ['tcp:h:65536', 'port 65536'],
    ['tcp:h:-1', 'expected tcp:host:port'],
    ['tcp:256.0.0.1:1', 'no IPv4 address'],
    ['tcp:10.0.0:1', 'no IPv4 address'],
    ['tcp:10.0.0.01:1', 'no IPv4 address'],
    ['tcp:[::1:1', 'no IPv6 address'],
    ['tcp:[1.2.3.4]:1', 'no IPv6 address'],
    ['tcp:1:2:3:4:5:6:7:8:9:1', 'no IPv6 address'],
    ['tcp:::1::2:1', 'no IPv6 address'],
    ['tcp:[fe80::1%]:1', 'no IPv6 address'],
    ['tcp:a b:1', 'a name of letters'],
    ['tcp:-h:1', 'a name of letters'],
    ['vsock:2', 'expected vsock:CID:port'],
    ['vsock:x:1', 'expected vsock:CID:port'],
    ['vsock:2:4294967295', 'port 4294967295'],
    ['vsock:9999999999:1', 'CID 9999999999'],
  ])('%j is none', (address, words) => {
    expect(addressFault(address)).toContain(words);
  });
});

describe('a broker', () => {
  it.each([
    ['mqtt://192.168.7.1', 'tcp:192.168.7.1:1883'],
    ['mqtt://broker.example/', 'tcp:broker.example:1883'],
    ['mqtt://localhost:1884', 'tcp:localhost:1884'],
    ['mqtt://[::1]', 'tcp:[::1]:1883'],
    ['mqtt://[fd00::7]:1884', 'tcp:[fd00::7]:1884'],
    ['mqtt+unix:///run/mosquitto.sock', 'unix:/run/mosquitto.sock'],
  ])('%s is one', (url, address) => {
    expect(addressText(parseBroker(url) as never)).toBe(address);
  });

  it.each([
    ['mqtts://h', 'neither TLS nor web sockets are spoken'],
    ['ws://h', 'neither TLS nor web sockets are spoken'],
    ['http://h', 'expected mqtt://host:port'],
    ['mqtt://', 'expected mqtt://host:port'],
    ['mqtt://h:', 'expected mqtt://host:port'],
    ['mqtt://h:99999', 'port 99999'],
    ['mqtt://h:0', 'port 0'],
    ['mqtt://::1', 'IPv6'],
    ['mqtt://h/path', 'a name of letters'],
    ['mqtt+unix://run/m.sock', 'the absolute path of a socket'],
    [`mqtt+unix:///${'m'.repeat(107)}`, 'has 108 bytes'],
  ])('%s is none', (url, words) => {
    expect(parseBroker(url)).toContain(words);
  });

  it('with user or password in its URL is none, and neither is told', () => {
    for (const url of ['mqtt://u:hunter2@h', 'mqtt://hunter2@h:1883', 'mqtt://u:hun/ter2@h'])
      expect(parseBroker(url)).toBe(
        'user and password do not stand in the URL, for it is logged: expected "username" and "passwordFile"',
      );
  });
});
