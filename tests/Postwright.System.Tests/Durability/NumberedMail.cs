using System.Globalization;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>
/// Mail with numbers, for tests that break something while it flows: which numbers were acknowledged with 250, and which of
/// those are in the Maildir. A mail may arrive twice, and one that was refused may not arrive.
/// </summary>
internal sealed class NumberedMail(ServerInstance server, int bodyBytes = 100)
{
    private readonly Lock _gate = new();
    private readonly List<int> _acknowledged = [];
    private readonly string _body = string.Concat(Enumerable.Repeat(new string('x', 70) + "\n", Math.Max(1, bodyBytes / 71)));
    private int _next;

    /// <summary>How many were acknowledged so far.</summary>
    public int Acknowledged
    {
        get
        {
            lock (_gate)
            {
                return _acknowledged.Count;
            }
        }
    }

    /// <summary>Sends the next one on a session that said EHLO; the last reply.</summary>
    public async Task<string> SendAsync(SmtpTestClient client)
    {
        int number = Interlocked.Increment(ref _next);
        string reply = await client.MailAsync("a@example.org", "numbers@example.test", string.Create(CultureInfo.InvariantCulture, $"Subject: number {number};\n\n{_body}"));
        if (reply.StartsWith("250 ", StringComparison.Ordinal))
        {
            lock (_gate)
            {
                _acknowledged.Add(number);
            }
        }

        return reply;
    }

    /// <summary>Sends on several sessions until <paramref name="until"/> holds after a reply, or the limit of two minutes passes; the other replies.</summary>
    public async Task<IReadOnlyList<string>> LoadAsync(int sessions, Func<string, bool> until)
    {
        List<string> refusals = [];
        bool over = false;
        long start = Environment.TickCount64;
        await Task.WhenAll(Enumerable.Range(0, sessions).Select(async _ =>
        {
            await using SmtpTestClient client = await ConnectAsync();
            while (!Volatile.Read(ref over))
            {
                string reply = await SendAsync(client);
                lock (_gate)
                {
                    if (!reply.StartsWith("250 ", StringComparison.Ordinal))
                    {
                        refusals.Add(reply);
                    }

                    if (until(reply) || Environment.TickCount64 - start > CommandRun.Limit.TotalMilliseconds)
                    {
                        Volatile.Write(ref over, true);
                    }
                }
            }
        }));
        return refusals;
    }

    /// <summary>A session that said EHLO.</summary>
    public async Task<SmtpTestClient> ConnectAsync()
    {
        SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        return client;
    }

    /// <summary>Sends until one is taken, as a client does that was told to come back.</summary>
    public async Task UntilTakenAsync()
    {
        string last = "";
        await using SmtpTestClient client = await ConnectAsync();
        await ServerInstance.UntilAsync(async () => (last = await SendAsync(client)).StartsWith("250 ", StringComparison.Ordinal),
            () => $"service did not come back: {last}\n{server.Log}");
    }

    /// <summary>Waits until everything acknowledged is in the Maildir.</summary>
    public async Task AllArriveAsync()
    {
        HashSet<string> seen = [];
        HashSet<int> found = [];
        string folder = Path.Combine(server.MailDirectory, "numbers", "new");
        int[] missing = [];
        await ServerInstance.UntilAsync(() =>
        {
            foreach (string file in Directory.Exists(folder) ? Directory.GetFiles(folder) : [])
            {
                if (seen.Add(file))
                {
                    string mail = File.ReadAllText(file);
                    int start = mail.IndexOf("\nSubject: number ", StringComparison.Ordinal) + 17;
                    Assert.EndsWith("\n\n" + _body, mail, StringComparison.Ordinal);
                    found.Add(int.Parse(mail.AsSpan(start, mail.IndexOf(';', start) - start), CultureInfo.InvariantCulture));
                }
            }

            lock (_gate)
            {
                missing = [.. _acknowledged.Except(found)];
            }

            return Task.FromResult(missing.Length == 0);
        }, () => $"acknowledged and not in the mailbox: {string.Join(' ', missing)}\n{server.Log}");
    }
}
