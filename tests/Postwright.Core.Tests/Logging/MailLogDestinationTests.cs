using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;

namespace Postwright.Core.Tests.Logging;

public sealed class MailLogDestinationTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("postwright-log-").FullName;
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 3, 7, 8, 9, 5, TimeSpan.Zero));

    private string LogPath => Path.Combine(_folder, "maillog");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_line_has_the_form_of_postlogd()
    {
        using (MailLogDestination log = Open())
        {
            log.Write(LogLevel.Info, "postfix/smtpd", 7, "connect from unknown[192.0.2.1]");
        }

        Assert.Equal("Mar 07 08:09:05 mail postfix/smtpd[7]: connect from unknown[192.0.2.1]\n", File.ReadAllText(LogPath));
    }

    [Fact]
    public void Lines_of_many_threads_are_all_there_and_each_thread_s_in_order()
    {
        const int Threads = 4;
        const int Lines = 3000;
        using (MailLogDestination log = Open())
        {
            Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
            {
                for (int i = 0; i < Lines; i++)
                {
                    log.Write(LogLevel.Info, "postfix/test", t, $"line {i}");
                }
            }))];
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());
        }

        string[] all = File.ReadAllLines(LogPath);
        Assert.Equal(Threads * Lines, all.Length);
        for (int t = 0; t < Threads; t++)
        {
            Assert.Equal(
                Enumerable.Range(0, Lines).Select(i => $"Mar 07 08:09:05 mail postfix/test[{t}]: line {i}"),
                all.Where(line => line.Contains($"[{t}]", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void After_a_flush_everything_is_in_the_file()
    {
        using MailLogDestination log = Open();
        log.Write(LogLevel.Info, "postfix/test", 1, "first");
        log.Flush();

        Assert.EndsWith("first\n", File.ReadAllText(LogPath), StringComparison.Ordinal);
    }

    [Fact]
    public void A_new_file_gets_the_lines_after_the_change_and_the_old_one_those_before()
    {
        using (MailLogDestination log = Open())
        {
            log.Write(LogLevel.Info, "postfix/test", 1, "before");
            File.Move(LogPath, LogPath + ".1");
            log.Replace(MailLogDestination.OpenFile(Options(), out _)!);
            log.Write(LogLevel.Info, "postfix/test", 1, "after");
        }

        Assert.EndsWith("before\n", File.ReadAllText(LogPath + ".1"), StringComparison.Ordinal);
        Assert.EndsWith("after\n", File.ReadAllText(LogPath), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_outside_the_allowed_places_is_refused_in_Postfix_s_words()
    {
        Assert.Null(MailLogDestination.Open(Options() with { Prefixes = ["/var", "/dev/stdout"] }, _clock, out string? error));
        Assert.Equal($"maillog_file value '{LogPath}' does not match any prefix in maillog_file_prefixes", error);
        Assert.False(File.Exists(LogPath));
    }

    [Fact]
    public void A_disk_that_is_full_costs_lines_and_not_the_caller()
    {
        MailLogOptions full = Options() with { MaillogFile = "/dev/full", Prefixes = ["/dev/full"] };
        using MailLogDestination log = MailLogDestination.Open(full, _clock, out _)!;
        log.Write(LogLevel.Info, "postfix/test", 1, "lost");
        log.Flush();
        log.Replace(MailLogDestination.OpenFile(Options(), out _)!);
        log.Write(LogLevel.Info, "postfix/test", 1, "kept");
        log.Flush();
        log.Flush();

        Assert.Contains("kept\n", File.ReadAllText(LogPath), StringComparison.Ordinal);
        Assert.Contains("warning: 1 log lines were lost", File.ReadAllText(LogPath), StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_facility_is_refused()
    {
        Assert.Null(MailLogDestination.Open(Options() with { MaillogFile = "", Facility = "post" }, _clock, out string? error));
        Assert.Equal("bad syslog_facility value: post", error);
    }

    private MailLogOptions Options() => new(LogPath, [_folder], Convert.ToInt32("600", 8), "mail", "mail.example.test");

    private MailLogDestination Open() => MailLogDestination.Open(Options(), _clock, out _)!;
}
