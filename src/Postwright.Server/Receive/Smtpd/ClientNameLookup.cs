using System.Net;
using System.Net.Sockets;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// Finds a client's name: the reverse name counts only if it leads back to the address (RFC 1912, 2.1). What cannot be
/// verified is <c>unknown</c>, with a status that tells whether asking again may help.
/// </summary>
internal static class ClientNameLookup
{
    private const string Unknown = "unknown";

    public static async ValueTask<SmtpdClient> FindAsync(
        IPEndPoint peer, SmtpdOptions options, IDnsResolver dns, MailLog log, CancellationToken cancellationToken)
    {
        IPAddress address = peer.Address.IsIPv4MappedToIPv6 ? peer.Address.MapToIPv4() : peer.Address;
        string text = address.ToString();
        (string name, NameStatus status, string reverse, NameStatus reverseStatus) = options.PeerNameLookup
            ? await NameAsync(address, text, dns, log, cancellationToken)
            : (Unknown, NameStatus.Permanent, Unknown, NameStatus.Permanent);
        string port = peer.Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return new SmtpdClient
        {
            Name = name,
            NameStatus = status,
            ReverseName = reverse,
            ReverseStatus = reverseStatus,
            Address = text,
            Port = port,
            IpAddress = address,
            NameAndAddress = SmtpdClient.Combine(name, text, port, options.ClientPortLogging),
        };
    }

    private static async ValueTask<(string Name, NameStatus Status, string Reverse, NameStatus ReverseStatus)> NameAsync(
        IPAddress address, string text, IDnsResolver dns, MailLog log, CancellationToken cancellationToken)
    {
        DnsAnswer<string> answer = await dns.QueryPtrAsync(address, cancellationToken);
        if (answer.Status != DnsStatus.Found)
        {
            NameStatus status = answer.Status == DnsStatus.TemporaryError ? NameStatus.Temporary : NameStatus.Permanent;
            return (Unknown, status, Unknown, status);
        }

        string reverse = answer.Records[0].TrimEnd('.');
        if (!HostNames.IsValid(reverse))
        {
            return (Unknown, NameStatus.Permanent, Unknown, NameStatus.Permanent);
        }

        DnsAnswer<IPAddress> forward = await dns.LookupHostAsync(reverse, cancellationToken);
        if (forward.Status != DnsStatus.Found)
        {
            log.Warning($"hostname {reverse} does not resolve to address {text}: {forward.Error}");
            bool temporary = forward.Status == DnsStatus.TemporaryError;
            return (Unknown, temporary ? NameStatus.Temporary : NameStatus.Permanent, reverse, NameStatus.Ok);
        }

        foreach (IPAddress found in forward.Records)
        {
            if (found.Equals(address) || (address.AddressFamily == AddressFamily.InterNetwork && found.IsIPv4MappedToIPv6 && found.MapToIPv4().Equals(address)))
            {
                return (reverse, NameStatus.Ok, reverse, NameStatus.Ok);
            }
        }

        log.Warning($"hostname {reverse} does not resolve to address {text}");
        return (Unknown, NameStatus.Permanent, reverse, NameStatus.Ok);
    }
}
