using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Logging;

/// <summary>What main.cf says about the log.</summary>
/// <param name="MaillogFile"><c>maillog_file</c>; empty for syslog.</param>
/// <param name="Prefixes"><c>maillog_file_prefixes</c>: one of them must begin the file's name.</param>
/// <param name="Permissions"><c>maillog_file_permissions</c> of a new file, such as 0600.</param>
/// <param name="Facility"><c>syslog_facility</c>.</param>
/// <param name="HostName">This machine's name, for the lines of maillog_file.</param>
public sealed record MailLogOptions(string MaillogFile, IReadOnlyList<string> Prefixes, int Permissions, string Facility, string HostName);

/// <summary>
/// The log of the mail system: <c>maillog_file</c> or syslog, written by one thread in the order in which lines came. Lines
/// wait a few milliseconds for company and are written together; <see cref="Dispose"/> writes the rest. Never throws and
/// never holds a session for longer than a second in all, whatever the disk does.
/// </summary>
public sealed class MailLogDestination : ILogSink, IDisposable
{
    private readonly GatheredLog _log;
    private readonly MaillogTarget? _file;

    private MailLogDestination(GatheredLog log, MaillogTarget? file)
    {
        _log = log;
        _file = file;
    }

    /// <summary>Opens the log; null and Postfix's words if the file's name is not allowed or it cannot be opened.</summary>
    public static MailLogDestination? Open(MailLogOptions options, TimeProvider clock, out string? error)
    {
        if (options.MaillogFile.Length == 0)
        {
            return Syslog(options, clock, out error);
        }

        SafeFileHandle? file = OpenFile(options, out error);
        return file is null ? null : ToFile(file, options, clock);
    }

    /// <summary>Writes to a log file that somebody else (master, as root) has opened for appending; owns it from now on.</summary>
    public static MailLogDestination ToFile(SafeFileHandle file, MailLogOptions options, TimeProvider clock)
    {
        MaillogTarget target = new(file, options.HostName, clock);
        return new MailLogDestination(new GatheredLog(target), target);
    }

    /// <summary>Opens <c>maillog_file</c> for appending; null and the reason where that is not possible.</summary>
    public static SafeFileHandle? OpenFile(MailLogOptions options, out string? error)
    {
        string path = options.MaillogFile;
        if (!options.Prefixes.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal)))
        {
            error = $"maillog_file value '{path}' does not match any prefix in maillog_file_prefixes";
            return null;
        }

        SafeFileHandle? file = LogCalls.OpenForAppend(path, options.Permissions, out int number);
        error = file is null ? $"open logfile '{path}': {System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(number)}" : null;
        return file;
    }

    /// <summary>Goes over to a newly opened file (reload, logrotate); lines taken before are still written to the old one. Closes it if this logs to syslog.</summary>
    public void Replace(SafeFileHandle file)
    {
        if (_file is null)
        {
            file.Dispose();
            return;
        }

        _log.BetweenWrites(() => _file.Replace(file));
    }

    /// <inheritdoc />
    public void Write(LogLevel level, string tag, int number, string text) => _log.Write(level, tag, number, text);

    /// <summary>Waits until every line so far is written, at most five seconds.</summary>
    public void Flush() => _log.Flush();

    /// <inheritdoc />
    public void Dispose() => _log.Dispose();

    private static MailLogDestination? Syslog(MailLogOptions options, TimeProvider clock, out string? error)
    {
        if (SyslogTarget.FacilityOf(options.Facility) is not int facility)
        {
            error = $"bad syslog_facility value: {options.Facility}";
            return null;
        }

        error = null;
        return new MailLogDestination(new GatheredLog(new SyslogTarget("/dev/log", facility, clock)), null);
    }
}
