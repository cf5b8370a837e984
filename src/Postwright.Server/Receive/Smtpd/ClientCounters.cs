using System.Net;
using System.Net.Sockets;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// anvil(8): how many connections a client has, and how often it connected, sent and named recipients within
/// anvil_rate_time_unit. A client is a network (smtpd_client_ipv4_prefix_length) at a service. Memory: one row a client that is
/// connected or was within the time unit, at most a hundred thousand; beyond it new clients are not counted.
/// </summary>
internal sealed class ClientCounters(TimeProvider time)
{
    private const int MaxClients = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Service, IPAddress Network), Row> _rows = [];
    private long _lastForget;

    /// <summary>Counts a connection. Gives the client's connections now, and within the time unit.</summary>
    public (int Count, int Rate) Connect(string service, IPAddress address, SmtpdOptions options)
    {
        lock (_lock)
        {
            Row? row = Find(service, address, options);
            if (row is null)
            {
                return (0, 0);
            }

            row.Connections++;
            return (row.Connections, ++row.ConnectionRate);
        }
    }

    /// <summary>The end of a connection that <see cref="Connect"/> counted.</summary>
    public void Disconnect(string service, IPAddress address, SmtpdOptions options)
    {
        lock (_lock)
        {
            if (_rows.TryGetValue((service, Network(address, options)), out Row? row) && row.Connections > 0)
            {
                row.Connections--;
            }
        }
    }

    /// <summary>Counts a MAIL command; gives the number within the time unit.</summary>
    public int Mail(string service, IPAddress address, SmtpdOptions options)
    {
        lock (_lock)
        {
            return Find(service, address, options) is { } row ? ++row.MailRate : 0;
        }
    }

    /// <summary>Counts a RCPT command; gives the number within the time unit.</summary>
    public int Recipient(string service, IPAddress address, SmtpdOptions options)
    {
        lock (_lock)
        {
            return Find(service, address, options) is { } row ? ++row.RecipientRate : 0;
        }
    }

    /// <summary>Drops rows of clients that are gone; called by the heartbeat.</summary>
    public void Forget()
    {
        long now = time.GetTimestamp();
        lock (_lock)
        {
            if (time.GetElapsedTime(_lastForget, now) < TimeSpan.FromSeconds(10))
            {
                return;
            }

            _lastForget = now;
            foreach (KeyValuePair<(string, IPAddress), Row> row in _rows)
            {
                if (row.Value.Connections == 0 && time.GetElapsedTime(row.Value.Since, now) > row.Value.Unit)
                {
                    _rows.Remove(row.Key);
                }
            }
        }
    }

    private Row? Find(string service, IPAddress address, SmtpdOptions options)
    {
        (string, IPAddress) key = (service, Network(address, options));
        long now = time.GetTimestamp();
        if (!_rows.TryGetValue(key, out Row? row))
        {
            if (_rows.Count >= MaxClients)
            {
                return null;
            }

            row = new Row { Since = now };
            _rows.Add(key, row);
        }

        row.Unit = options.RateTimeUnit;
        if (time.GetElapsedTime(row.Since, now) > options.RateTimeUnit)
        {
            row.Since = now;
            row.ConnectionRate = row.MailRate = row.RecipientRate = 0;
        }

        return row;
    }

    private static IPAddress Network(IPAddress address, SmtpdOptions options)
    {
        bool six = address.AddressFamily == AddressFamily.InterNetworkV6;
        int bits = six ? options.ClientIpv6PrefixLength : options.ClientIpv4PrefixLength;
        if (bits >= (six ? 128 : 32))
        {
            return address;
        }

        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int count);
        for (int i = 0; i < count; i++)
        {
            int keep = Math.Clamp(bits - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xff00 >> keep);
        }

        return new IPAddress(bytes[..count]);
    }

    private sealed class Row
    {
        public long Since { get; set; }

        public TimeSpan Unit { get; set; }

        public int Connections { get; set; }

        public int ConnectionRate { get; set; }

        public int MailRate { get; set; }

        public int RecipientRate { get; set; }
    }
}
