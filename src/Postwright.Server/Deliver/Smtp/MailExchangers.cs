using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>An address to try.</summary>
/// <param name="Host">The exchanger's name, as logged.</param>
/// <param name="EndPoint">Where it listens.</param>
/// <param name="Preference">Of its MX record; 0 without one.</param>
internal readonly record struct MailExchanger(string Host, EndPoint EndPoint, int Preference)
{
    /// <summary>As logged: <c>host[address]:port</c>, or a socket's path.</summary>
    public string Name => EndPoint is IPEndPoint ip ? $"{Host}[{ip.Address}]:{ip.Port}" : Host;

    /// <summary>As replies are quoted: <c>host[address]</c>.</summary>
    public string NameWithoutPort => EndPoint is IPEndPoint ip ? $"{Host}[{ip.Address}]" : Host;
}

/// <summary>The addresses of a destination in the order in which they are tried, or why there are none.</summary>
internal readonly record struct ExchangerList(IReadOnlyList<MailExchanger> Exchangers, bool IsPermanent, string Dsn, string Reason);

/// <summary>
/// Finds where a destination's mail goes (RFC 5321, 5.1): MX records by preference, else the domain's own addresses; each
/// exchanger's A and AAAA. A lookup that failed is temporary, even where others succeeded without result. Exchangers at
/// our own address, and those less preferred, are dropped: they would send the mail back to us.
/// </summary>
internal sealed class MailExchangers(SmtpClientOptions options, IDnsResolver dns, IChance chance)
{
    /// <summary>Exchanger names looked up at most, however many records an answer has.</summary>
    private const int HostLimit = 20;

    public async ValueTask<ExchangerList> FindAsync(NextHop nextHop, CancellationToken cancellationToken)
    {
        if (nextHop.UnixPath is { } path)
        {
            return Listed([new MailExchanger(path, new UnixDomainSocketEndPoint(path), 0)]);
        }

        if (IPAddress.TryParse(nextHop.Host, out IPAddress? literal))
        {
            return Listed([new MailExchanger(nextHop.Host, new IPEndPoint(literal, nextHop.Port), 0)]);
        }

        if (!nextHop.LookupMx || !options.DnsLookup)
        {
            return await FindHostAsync(nextHop, cancellationToken);
        }

        DnsAnswer<MxRecord> answer = await dns.QueryMxAsync(nextHop.Host, cancellationToken);
        switch (answer.Status)
        {
            case DnsStatus.Found when answer.Records is [{ Preference: 0, Exchange: "." or "" }]:
                return new ExchangerList([], true, "5.1.0", $"Domain {nextHop.Host} does not accept mail (nullMX)");
            case DnsStatus.Found:
                return await FindExchangersAsync(nextHop, answer.Records, cancellationToken);
            case DnsStatus.TemporaryError when !options.IgnoreMxLookupError:
                return new ExchangerList([], false, "4.4.3", answer.Error ?? "Host not found, try again");
            default:
                // A name without MX records, or without any by that type's answer, may still be a host (RFC 5321, 5.1).
                return await FindHostAsync(nextHop, cancellationToken);
        }
    }

    private static ExchangerList Listed(IReadOnlyList<MailExchanger> exchangers) => new(exchangers, false, "", "");

    private async ValueTask<ExchangerList> FindHostAsync(NextHop nextHop, CancellationToken cancellationToken)
    {
        List<MailExchanger> found = [];
        DnsAnswer<IPAddress> failure = await AddAddressesAsync(nextHop.Host, nextHop.Port, 0, found, cancellationToken);
        if (found.Count == 0)
        {
            return failure.Status == DnsStatus.TemporaryError
                ? new ExchangerList([], false, "4.4.3", failure.Error ?? "Host not found, try again")
                : new ExchangerList([], true, "5.4.4", failure.Error ?? "Host not found");
        }

        return nextHop.LookupMx && nextHop.Port == 25 && found.Exists(IsOurs)
            ? LoopsBack(nextHop)
            : Listed(InOrder(found));
    }

    private async ValueTask<ExchangerList> FindExchangersAsync(NextHop nextHop, IReadOnlyList<MxRecord> records, CancellationToken cancellationToken)
    {
        List<MailExchanger> found = [];
        DnsAnswer<IPAddress> failure = default;
        foreach (MxRecord record in records.OrderBy(record => record.Preference).Take(HostLimit))
        {
            DnsAnswer<IPAddress> answer = await AddAddressesAsync(record.Exchange, nextHop.Port, record.Preference, found, cancellationToken);
            if (answer.Status != DnsStatus.Found && failure.Status != DnsStatus.TemporaryError)
            {
                failure = answer;
            }
        }

        if (found.Count == 0)
        {
            bool temporary = failure.Status == DnsStatus.TemporaryError || options.DeferIfNoMxAddress;
            return new ExchangerList([], !temporary, temporary ? "4.4.3" : "5.4.4", failure.Error ?? "Host not found");
        }

        int ours = found.Where(IsOurs).Select(exchanger => exchanger.Preference).DefaultIfEmpty(int.MaxValue).Min();
        found.RemoveAll(exchanger => exchanger.Preference >= ours);
        return found.Count == 0 ? LoopsBack(nextHop) : Listed(InOrder(found));
    }

    private static ExchangerList LoopsBack(NextHop nextHop) =>
        new([], true, "5.4.6", $"mail for {nextHop.Host} loops back to myself");

    private bool IsOurs(MailExchanger exchanger) => exchanger.EndPoint is IPEndPoint { Port: 25 } ip && options.OwnAddresses.Contains(ip.Address);

    /// <summary>Adds what is found; the answer is the one that explains it if nothing was.</summary>
    private async ValueTask<DnsAnswer<IPAddress>> AddAddressesAsync(string host, int port, int preference, List<MailExchanger> found, CancellationToken cancellationToken)
    {
        void Add(DnsAnswer<IPAddress> answer)
        {
            foreach (IPAddress address in answer.Records)
            {
                if (address.AddressFamily == AddressFamily.InterNetwork ? options.UseIpv4 : options.UseIpv6)
                {
                    found.Add(new MailExchanger(host, new IPEndPoint(address, port), preference));
                }
            }
        }

        int before = found.Count;
        DnsAnswer<IPAddress> result = default;
        if (options.NativeLookup)
        {
            result = await dns.LookupHostAsync(host, cancellationToken);
            Add(result);
            if (found.Count > before || !options.DnsLookup)
            {
                return result;
            }
        }

        if (options.UseIpv4)
        {
            result = await dns.QueryAAsync(host, cancellationToken);
            Add(result);
        }

        if (options.UseIpv6)
        {
            DnsAnswer<IPAddress> six = await dns.QueryAaaaAsync(host, cancellationToken);
            Add(six);
            result = options.UseIpv4 && result.Status == DnsStatus.TemporaryError ? result : six;
        }

        return found.Count > before ? result with { Status = DnsStatus.Found } : result;
    }

    private List<MailExchanger> InOrder(List<MailExchanger> found)
    {
        if (options.RandomizeAddresses)
        {
            for (int i = found.Count - 1; i > 0; i--)
            {
                int j = chance.Next(i + 1);
                (found[i], found[j]) = (found[j], found[i]);
            }
        }

        int Family(MailExchanger exchanger) => (options.AddressPreference, exchanger.EndPoint.AddressFamily) switch
        {
            ("ipv4", AddressFamily.InterNetworkV6) => 1,
            ("ipv6", AddressFamily.InterNetwork) => 1,
            _ => 0,
        };
        return [.. found.OrderBy(exchanger => exchanger.Preference).ThenBy(Family)];
    }
}
