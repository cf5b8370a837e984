using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// postfix logrotate: maillog_file gets a time-stamped name, the running system opens a new one, and the old one is compressed.
/// </summary>
internal static class PostfixLogrotate
{
    // As long as Postfix waits for the last lines to be written to the old file.
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(1);

    /// <summary>The command.</summary>
    public static int Run(PostfixInstance instance, string[] arguments)
    {
        if (arguments.Length > 0)
        {
            return instance.Fatal("usage postfix logrotate (no arguments)");
        }

        foreach (string name in (string[])["maillog_file", "maillog_file_compressor", "maillog_file_rotate_suffix"])
        {
            if (instance.Configuration.GetString(name).Length == 0)
            {
                return instance.Fatal($"empty '{name}' parameter value - logfile rotation failed");
            }
        }

        string file = instance.Configuration.GetString("maillog_file");
        if (file.StartsWith("/dev/", StringComparison.Ordinal))
        {
            return instance.Fatal($"not rotating '{file}'");
        }

        string? error = Rotate(instance, file, $"{file}.{Suffix(instance.Configuration.GetString("maillog_file_rotate_suffix"))}");
        return error is null ? 0 : instance.Fatal($"logfile '{file}' rotation failed: {error}");
    }

    private static string? Rotate(PostfixInstance instance, string file, string old)
    {
        try
        {
            File.Move(file, old, overwrite: true);
            if (instance.IsRunning && PidFile.Read(instance.PidPath) is int master)
            {
                MasterSignal.Send(master, MasterSignal.Hangup, wholeGroup: false);
            }

            Thread.Sleep(SettleTime);
            using Process compressor = Process.Start(instance.Configuration.GetString("maillog_file_compressor"), [old]);
            compressor.WaitForExit();
            return compressor.ExitCode == 0 ? null : $"{compressor.StartInfo.FileName} ended with status {compressor.ExitCode}";
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or Win32Exception)
        {
            return failure.Message;
        }
    }

    // The conversions of date(1) that a suffix is made of; anything else stands for itself.
    private static string Suffix(string format)
    {
        DateTimeOffset now = TimeProvider.System.GetLocalNow();
        System.Text.StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            string? conversion = format[i] == '%' && i + 1 < format.Length ? format[i + 1] switch
            {
                'Y' => "yyyy",
                'm' => "MM",
                'd' => "dd",
                'H' => "HH",
                'M' => "mm",
                'S' => "ss",
                _ => null,
            } : null;
            if (conversion is null)
            {
                text.Append(format[i]);
                continue;
            }

            text.Append(now.ToString(conversion, CultureInfo.InvariantCulture));
            i++;
        }

        return text.ToString();
    }
}
